"""A folder under construction: marked, locked by the programs that write there, and removed as a whole."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from metalock.adapters.files import NEW, remove_folder, temporary_path
from metalock.errors import ToolError

MARKER = ".metalock-building"
_SETTLING = 0.05
_TRIES = 60


def is_half_built(prefix: Path) -> bool:
    """Return whether a build began there that was not completed."""
    return (prefix / MARKER).exists()


def is_vacant(prefix: Path) -> bool:
    """Return whether there is nothing, or an empty folder."""
    return not prefix.exists() or (prefix.is_dir() and not any(prefix.iterdir()))


def require_writable(folder: Path) -> None:
    """Make the folder; raise `OSError` if no file can be made in it, for then no lock file can."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=folder):
        pass


@contextmanager
def under_construction(prefix: Path) -> Iterator[int]:
    """Mark the folder while the block runs, and permanently if it fails.

    The value is a file descriptor to pass to programs that write there: while any of
    them runs, even if this process was killed, `discard` waits.
    """
    prefix.mkdir(parents=True, exist_ok=True)
    held = os.open(prefix / MARKER, os.O_CREAT | os.O_RDWR, 0o666)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield held
        (prefix / MARKER).unlink()
    finally:
        os.close(held)


def discard(prefix: Path, waiting: Callable[[str], None]) -> None:
    """Remove a half-built prefix; raise `ToolError` if that fails."""
    _await_writers(prefix, waiting)
    try:
        for _ in range(_TRIES):
            if not prefix.exists():
                return
            remove_folder(prefix)
            time.sleep(_SETTLING)  # threads of an engine that failed may still be writing
    except OSError as error:
        raise ToolError(
            f"{prefix} cannot be removed: {error.strerror or error}", hint="Remove it by hand."
        ) from None
    raise ToolError(f"{prefix} cannot be removed: a program writes there", hint="Remove it by hand.")


def sweep(prefix: Path) -> None:
    """Remove what a `discard` that was killed left next to the prefix."""
    shutil.rmtree(temporary_path(prefix, NEW), ignore_errors=True)


def _await_writers(prefix: Path, waiting: Callable[[str], None]) -> None:
    try:
        held = os.open(prefix / MARKER, os.O_RDWR)
    except OSError:
        return
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting(f"a program of a killed build still writes to {prefix}; waiting for it to end")
            fcntl.flock(held, fcntl.LOCK_EX)
    finally:
        os.close(held)
