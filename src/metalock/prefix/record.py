"""The files of installed wheels against their RECORD."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from metalock.adapters.reading import DATA, open_regular, read_text
from metalock.errors import UnreadableFileError
from metalock.prefix.read import Distribution

MOST_BYTES = 4 << 30
"""Bytes of a file that is read: no wheel unpacks to more."""


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
    site = str(distribution.info.parent)
    for row in _rows(distribution.info, wrong):
        path, hashed, size = (*row, "", "", "")[:3]
        algorithm, _, digest = hashed.partition("=")
        if not digest:
            continue
        file = path if path.startswith("/") else f"{site}/{path}"
        try:
            status = os.stat(file)  # noqa: PTH116 - twenty thousand of them
        except (OSError, ValueError):  # ValueError: a path with a NUL
            wrong.append(f"{path} is missing")
            continue
        if fault := _fault_of(status, size):
            wrong.append(f"{path} {fault}")
            continue
        yield RecordedFile(path=path, algorithm=algorithm, digest=digest, file=file, status=status)


def _rows(info: Path, wrong: list[str]) -> Iterator[list[str]]:
    try:
        yield from csv.reader(io.StringIO(read_text(info / "RECORD", DATA), newline=""))
    except UnreadableFileError as error:
        wrong.append(f"{info.name} has no RECORD" if error.is_missing else str(error))
    except csv.Error as error:
        wrong.append(f"{info.name}/RECORD can't be read: {error}")


def _fault_of(status: os.stat_result, size: str) -> str:
    """Return what is wrong with a file before it is read, or an empty string."""
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file"
    if status.st_size > MOST_BYTES:
        return f"is larger than {MOST_BYTES >> 30} GiB"
    return "has changed" if size and size != str(status.st_size) else ""


def _is_sound(item: RecordedFile) -> bool:
    try:
        with open_regular(item.file) as file:
            found = hashlib.file_digest(file, item.algorithm).digest()
    except (OSError, ValueError, TypeError):  # TypeError: a hash without a fixed length, such as shake_128
        return False
    return base64.urlsafe_b64encode(found).rstrip(b"=").decode() == item.digest.rstrip("=")
