"""The hashes of many installed files, compared with those that records state."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from metalock.adapters.reading import open_regular

MOST_BYTES = 4 << 30
"""Bytes of a file that is read: no wheel unpacks to more."""


@dataclass(slots=True)
class SoundFiles:
    """Digests of sets of files that were read and are as recorded: an unchanged inode is not read again.

    Only for files with several links, such as those that uv links from its cache.
    """

    digests: dict[str, None] = field(default_factory=dict)
    learnt: int = 0

    def add(self, digest: str) -> None:
        """Remember a set of files."""
        self.digests[digest] = None
        self.learnt += 1


@dataclass(frozen=True, slots=True)
class Stated:
    """What a record states about one file."""

    path: str
    """The path as the record writes it."""
    file: str
    """The absolute path."""
    algorithm: str
    digest: str
    """The hash in hexadecimal."""
    size: int | None = None


@dataclass(frozen=True, slots=True)
class _Present:
    stated: Stated
    status: os.stat_result

    @property
    def is_linked(self) -> bool:
        return self.status.st_nlink > 1

    @property
    def identity(self) -> str:
        status = self.status
        digest = self.stated.digest
        return f"{digest} {status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns}"


def altered_files(
    stated: Mapping[str, Sequence[Stated]], sound: SoundFiles | None = None
) -> dict[str, list[str]]:
    """Return what is wrong with the files of each package; files that `sound` knows are not read."""
    known = SoundFiles() if sound is None else sound
    faults: dict[str, list[str]] = {}
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        for name, files in stated.items():
            wrong = faults[name] = []
            to_read, digest = _to_read(_present(files, wrong), known)
            results = pool.map(_is_sound, to_read)
            changed = [item.stated.path for item, right in zip(to_read, results, strict=True) if not right]
            wrong += [f"{path} has changed" for path in changed]
            if digest and not changed:
                known.add(digest)
    return {name: wrong for name, wrong in faults.items() if wrong}


def _present(files: Iterable[Stated], wrong: list[str]) -> list[_Present]:
    """Return the files that may be as stated; add a sentence to `wrong` for each other one."""
    present = []
    for item in files:
        try:
            status = os.stat(item.file)  # noqa: PTH116 - twenty thousand of them
        except (OSError, ValueError):
            wrong.append(f"{item.path} is missing")
            continue
        if not stat.S_ISREG(status.st_mode):
            wrong.append(f"{item.path} is not a regular file")
        elif status.st_size > MOST_BYTES:
            wrong.append(f"{item.path} is larger than {MOST_BYTES >> 30} GiB")
        elif item.size is not None and item.size != status.st_size:
            wrong.append(f"{item.path} has changed")
        else:
            present.append(_Present(item, status))
    return present


def _to_read(files: list[_Present], known: SoundFiles) -> tuple[list[_Present], str | None]:
    """Return the files to hash, largest first, and the digest of the linked ones if they are among them."""
    linked = [item for item in files if item.is_linked]
    digest = hashlib.sha256("\n".join(item.identity for item in linked).encode()).hexdigest()
    if not linked or digest in known.digests:
        return [item for item in files if not item.is_linked], None
    return sorted(files, key=lambda item: -item.status.st_size), digest


def _is_sound(item: _Present) -> bool:
    try:
        with open_regular(item.stated.file) as file:
            return hashlib.file_digest(file, item.stated.algorithm).hexdigest() == item.stated.digest
    except (OSError, ValueError):
        return False


def to_hex(digest: str) -> str | None:
    """Return a hash of a RECORD in hexadecimal, or None if it is not URL-safe base64.

    >>> to_hex("AAEC")
    '000102'
    """
    bare = digest.rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), b"-_", validate=True).hex()
    except ValueError:
        return None
