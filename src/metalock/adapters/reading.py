"""Bounded reading of files that other programs or people write: only regular files of a plausible size."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

from metalock.errors import UnreadableFileError
from metalock.parsing import plain_text
from metalock.untrusted import InvalidFileError

TEXT = 4 << 20
"""Bytes of a file that a person writes or reads."""
SETTINGS = 1 << 20
"""Bytes of `matrix.toml` or of a configuration file; ours has 12,000."""
EVIDENCE = 8 << 20
"""Bytes of an `audit.json` or `smoke.json`; ours have 90,000."""
DATA = 32 << 20
"""Bytes of a file that a program writes: a lock, a result, a record of a package."""


def open_regular(path: str | Path, *, follow: bool = True) -> BufferedReader:
    """Open a regular file for reading; raise `OSError` for anything else, without `follow` also for a link.

    A FIFO would wait for a writer for ever, and a device may never end.
    """
    try:
        if not stat.S_ISREG(os.stat(path, follow_symlinks=follow).st_mode):  # noqa: PTH116 - called for every line of a RECORD
            raise OSError(errno.EINVAL, _kind(path), str(path))
        descriptor = os.open(
            path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
        )
    except ValueError as error:  # a NUL, or half of a surrogate pair
        raise OSError(errno.EINVAL, f"not the path of a file ({error})", ascii(str(path))) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


def _kind(path: str | Path) -> str:
    return "is a directory" if Path(path).is_dir() else "not a regular file"


def read_bytes(path: Path, limit: int = DATA) -> bytes:
    """Return the bytes of a regular file; raise `UnreadableFileError` for any other, or one above `limit`."""
    try:
        with open_regular(path) as file:
            if os.fstat(file.fileno()).st_size > limit:
                raise UnreadableFileError(path, f"larger than {limit >> 20} MiB")
            return file.read(limit)
    except OSError as error:
        raise UnreadableFileError(path, error.strerror or str(error), is_missing=_is_missing(error)) from None


def _is_missing(error: OSError) -> bool:
    return isinstance(error, (FileNotFoundError, NotADirectoryError))


def read_evidence_file(path: Path) -> bytes | None:
    """Return the bytes of a file that came by pull request, or None if it does not exist.

    Raise `InvalidFileError` for what is not a regular file, or is too large.
    """
    try:
        return read_bytes(path, EVIDENCE)
    except UnreadableFileError as error:
        if error.is_missing and not path.is_symlink():
            return None
        raise InvalidFileError(error.problem) from None


def read_text(path: Path, limit: int = TEXT) -> str:
    """Return the text of a regular file, without a byte order mark and with LF at the ends of lines."""
    try:
        return plain_text(read_bytes(path, limit))
    except UnicodeDecodeError as error:
        raise UnreadableFileError(path, f"not UTF-8 at byte {error.start}") from None


def read_if_there(path: Path) -> bytes | None:
    """Return the bytes of a file, or None if it does not exist."""
    try:
        return read_bytes(path)
    except UnreadableFileError as error:
        if error.is_missing:
            return None
        raise
