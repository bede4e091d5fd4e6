"""A folder of files that can be made again: bounded, checked, and shared by several runs at once."""

from __future__ import annotations

import mmap
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from hashlib import file_digest, sha256
from pathlib import Path
from struct import Struct
from tempfile import NamedTemporaryFile
from typing import IO, BinaryIO

from metalock.adapters.reading import open_regular
from metalock.adapters.waiting import INTERRUPTED, POLL
from metalock.errors import ToolError

DEFAULT_LIMIT = 16 << 30
"""Bytes: the facts of every TensorFlow that there is, on all platforms."""
_MAPPED = 4 << 20
"""Bytes from which on a file is mapped; smaller ones are read, as each map holds a file open."""
_LARGEST = 256 << 20
"""Bytes of an entry that is read whole."""
_TEMPORARY = ".new"
_SEAL = Struct("<8sQ32s32s")
"""The end of each entry: magic, size of the content, SHA-256 of the entry's name and of the content."""
_MAGIC = b"metaseal"


class Cache:
    """Entries by name in `folder`; those that were not used for longest are removed first.

    An entry that is damaged, or was not written under its name, is removed when it is read.
    `wheels` is a folder for downloads, which count too.
    """

    def __init__(self, folder: Path, limit: int = DEFAULT_LIMIT) -> None:
        self.folder = folder
        self.wheels = folder / "wheels"
        self._entries = folder / "facts"
        self._locks = folder / "locks"
        self._limit = limit

    def prepare(self) -> None:
        """Make the folders; raise `ToolError` if they can't be written."""
        with disk_faults(self.folder):
            for folder in (self.wheels, self._entries, self._locks):
                folder.mkdir(parents=True, exist_ok=True)

    def has(self, name: str) -> bool:
        """Return whether there is such an entry, damaged or not."""
        return (self._entries / name).is_file()

    def read(self, name: str) -> bytes | None:
        """Return the content of an entry, or None if there is none that is sound."""
        with self._opened(name) as found:
            if found is None:
                return None
            file, size, digest = found
            content = file.read(size) if size <= _LARGEST else b""
            if sha256(content).digest() == digest:
                return content
        self.discard(name)
        return None

    def map(self, name: str) -> bytes | mmap.mmap | None:
        """Return the content as `read` does, or a map of a large one, which has digests of its own."""
        with self._opened(name) as found:
            if found is not None and found[1] >= _MAPPED:
                return mmap.mmap(found[0].fileno(), found[1], access=mmap.ACCESS_READ)
        return self.read(name)

    @contextmanager
    def _opened(self, name: str) -> Iterator[tuple[BinaryIO, int, bytes] | None]:
        """Open an entry that was written under this name; with the size and the digest of its content."""
        file = _open(self._entries / name)
        with file or nullcontext():
            sealed = _read_seal(file, name) if file else None
            if file is None or sealed is None:
                self.discard(name)
                yield None
                return
            with suppress(OSError):  # a cache that may only be read
                os.utime(file.fileno())
            yield file, *sealed

    def write(self, name: str, dump: Callable[[IO[bytes]], object]) -> None:
        """Store what `dump` writes, then remove the oldest entries beyond the limit."""
        with (
            disk_faults(self.folder),
            NamedTemporaryFile(dir=self._entries, suffix=_TEMPORARY, delete=False) as file,
        ):
            temporary = Path(file.name)
            try:
                dump(file)
                size = file.tell()
                file.seek(0)
                digest = file_digest(file, "sha256").digest()
                file.write(_SEAL.pack(_MAGIC, size, _digest_of(name), digest))
                file.close()
                if (self._entries / name).is_dir():
                    self.discard(name)
                temporary.replace(self._entries / name)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
        self._evict(keep=name)

    def discard(self, name: str) -> None:
        """Remove an entry, or whatever has its name."""
        path = self._entries / name
        with suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()

    @contextmanager
    def turn(self, sha256: str) -> Iterator[None]:
        """Hold the right to fetch and read this file, against all threads and runs.

        A lock serves all hashes that begin alike, so that there never are many lock files.
        """
        from filelock import FileLock, Timeout

        with disk_faults(self.folder):
            lock = FileLock(self._locks / f"{sha256[:2]}.lock", thread_local=False)
            while not lock.is_locked:
                if INTERRUPTED.is_set():
                    raise KeyboardInterrupt
                with suppress(Timeout):
                    lock.acquire(timeout=POLL)
        try:
            yield
        finally:
            lock.release()

    def _evict(self, keep: str) -> None:
        found = []
        for folder in (self._entries, self.wheels):
            for entry in os.scandir(folder):
                with suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    found.append((status.st_mtime_ns, status.st_size, entry.path))
        excess = sum(size for _, size, _ in found) - self._limit
        for _, size, path in sorted(found):
            if excess <= 0:
                return
            if Path(path).name != keep:
                with suppress(OSError):
                    Path(path).unlink()
                excess -= size


def _open(path: Path) -> BinaryIO | None:
    """Open a file; return None if there is none, or it is not a regular one."""
    try:
        return open_regular(path, follow=False)
    except OSError:
        return None


def _read_seal(file: BinaryIO, name: str) -> tuple[int, bytes] | None:
    """Return size and digest of the content, or None for a file that was not written under this name."""
    size = os.fstat(file.fileno()).st_size - _SEAL.size
    if size < 0:
        return None
    file.seek(size)
    magic, stated, named, digest = _SEAL.unpack(file.read(_SEAL.size))
    file.seek(0)
    return (size, digest) if (magic, stated, named) == (_MAGIC, size, _digest_of(name)) else None


def _digest_of(name: str) -> bytes:
    return sha256(name.encode()).digest()


@contextmanager
def disk_faults(folder: Path) -> Iterator[None]:
    """Raise `ToolError` for a full disk and the like."""
    try:
        yield
    except OSError as error:
        raise ToolError(
            f"{folder} can't be written: {error.strerror or error}",
            hint="Free some space, or set METALOCK_CACHE_DIR to a folder on another disk.",
        ) from None
