"""The files of installed wheels against their RECORD."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from metalock.prefix.read import Distribution

CHUNK = 1 << 20


@dataclass(slots=True)
class SoundFiles:
    """Digests of files that were read and found right: an inode that is unchanged needn't be read again.

    Only for files with several links, such as those that uv links from its cache.
    """

    digests: dict[str, None] = field(default_factory=dict)
    learnt: int = 0

    def add(self, digest: str) -> None:
        self.digests[digest] = None
        self.learnt += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFile:
    """A line of a RECORD, and the file it is about."""

    path: str
    """As the line says, relative to site-packages."""
    algorithm: str
    digest: str
    file: str
    status: os.stat_result

    @property
    def is_linked(self) -> bool:
        return self.status.st_nlink > 1

    @property
    def identity(self) -> str:
        status = self.status
        return f"{self.digest} {status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns}"


def altered_files(
    distributions: Sequence[Distribution], sound: SoundFiles | None = None
) -> dict[str, list[str]]:
    """Distribution to what is wrong with its files; what `sound` knows is believed."""
    known = SoundFiles() if sound is None else sound
    faults: dict[str, list[str]] = {}
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        for distribution in distributions:
            wrong: list[str] = []
            faults[distribution.name] = wrong
            to_read, digest = _to_read(distribution, wrong, known)
            results = pool.map(_is_sound, to_read)
            changed = [item.path for item, right in zip(to_read, results, strict=True) if not right]
            wrong += [f"{path} has changed" for path in changed]
            if digest and not changed:
                known.add(digest)
    return {name: wrong for name, wrong in faults.items() if wrong}


def _to_read(
    distribution: Distribution, wrong: list[str], known: SoundFiles
) -> tuple[list[RecordedFile], str | None]:
    """The files to hash, largest first, and the digest of the linked ones if they are among them."""
    files = list(_recorded(distribution, wrong))
    linked = [item for item in files if item.is_linked]
    digest = hashlib.sha256("\n".join(item.identity for item in linked).encode()).hexdigest()
    if not linked or digest in known.digests:
        return [item for item in files if not item.is_linked], None
    return sorted(files, key=lambda item: -item.status.st_size), digest


def _recorded(distribution: Distribution, wrong: list[str]) -> Iterator[RecordedFile]:
    """The files with a hash; what is missing, or of another size, goes to `wrong`."""
    record = distribution.info / "RECORD"
    site = str(distribution.info.parent)
    try:
        text = record.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        wrong.append(f"{distribution.info.name} has no RECORD")
        return
    for row in csv.reader(text.splitlines()):
        path, hashed, size = (*row, "", "", "")[:3]
        algorithm, _, digest = hashed.partition("=")
        if not digest:
            continue
        file = path if path.startswith("/") else f"{site}/{path}"
        try:
            status = os.stat(file)  # noqa: PTH116 - twenty thousand of them
        except OSError:
            wrong.append(f"{path} is missing")
            continue
        if size and int(size) != status.st_size:
            wrong.append(f"{path} has changed")
            continue
        yield RecordedFile(path=path, algorithm=algorithm, digest=digest, file=file, status=status)


def _is_sound(item: RecordedFile) -> bool:
    try:
        with Path(item.file).open("rb") as file:
            found = hashlib.file_digest(file, item.algorithm).digest()
    except (OSError, ValueError):
        return False
    return base64.urlsafe_b64encode(found).rstrip(b"=").decode() == item.digest.rstrip("=")
