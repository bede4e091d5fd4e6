"""A folder of files that can be had again: bounded, written whole, and safe for several runs at once."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

from metalock.errors import ToolError

DEFAULT_LIMIT = 16 << 30
"""Bytes: the facts of every TensorFlow that there is, on all platforms."""
_MAPPED = 4 << 20
"""Bytes from which on a file is mapped; smaller ones are read, as each map holds a file open."""
_TEMPORARY = ".new"


class Cache:
    """Entries by name in `folder`; what was not used for longest goes first.

    `wheels` is a folder for files on their way, which counts too.
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
        """Whether there is such an entry."""
        return (self._entries / name).is_file()

    def read(self, name: str) -> bytes | mmap.mmap | None:
        """An entry's bytes, or a map of them; None if it isn't there."""
        path = self._entries / name
        try:
            with path.open("rb") as file:
                os.utime(path)
                if os.fstat(file.fileno()).st_size < _MAPPED:
                    return file.read()
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError:
            return None

    def write(self, name: str, dump: Callable[[IO[bytes]], object]) -> None:
        """Store what `dump` writes, then let the oldest go."""
        with (
            disk_faults(self.folder),
            NamedTemporaryFile(dir=self._entries, suffix=_TEMPORARY, delete=False) as file,
        ):
            temporary = Path(file.name)
            try:
                dump(file)
                file.close()
                temporary.replace(self._entries / name)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
        self._evict(keep=name)

    def discard(self, name: str) -> None:
        """Forget an entry."""
        with suppress(OSError):
            (self._entries / name).unlink()

    @contextmanager
    def turn(self, sha256: str) -> Iterator[None]:
        """Hold the right to fetch and read this file, against all threads and runs.

        A lock serves all hashes that begin alike, so that there never are many lock files.
        """
        from filelock import FileLock

        with disk_faults(self.folder):
            lock = FileLock(self._locks / f"{sha256[:2]}.lock", thread_local=False)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _evict(self, keep: str) -> None:
        found = []
        for folder in (self._entries, self.wheels):
            for entry in os.scandir(folder):
                with suppress(FileNotFoundError):
                    found.append((entry.stat().st_mtime_ns, entry.stat().st_size, entry.path))
        excess = sum(size for _, size, _ in found) - self._limit
        for _, size, path in sorted(found):
            if excess <= 0:
                return
            if Path(path).name != keep:
                with suppress(OSError):
                    Path(path).unlink()
                excess -= size


@contextmanager
def disk_faults(folder: Path) -> Iterator[None]:
    """Raise `ToolError` for a full disk and the like."""
    try:
        yield
    except OSError as error:
        raise ToolError(
            f"{folder} can't be written: {error.strerror or error}",
            hint="free some space, or set METALOCK_CACHE_DIR to a folder that has it",
        ) from None
