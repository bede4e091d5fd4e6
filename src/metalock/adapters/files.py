"""Files and folders: read in one piece, written whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from metalock.errors import UsageError

WAIT_SECONDS = 1
"""Between two looks at whether a wait was broken off."""
OLD = ".old"
NEW = ".new"


def read_text(path: Path) -> str:
    """The file's text; raise `UsageError` naming the file if it can't be had."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} can't be read: {error}") from None


def write_text(path: Path, text: str) -> bool:
    """Replace the file atomically; False, and nothing written, if it already holds that text."""
    data = text.encode()
    if path.is_file() and path.read_bytes() == data:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}{NEW}")
    try:
        _write_synced(temporary, data)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return True


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_folder(folder: Path, files: Mapping[str, str]) -> None:
    """Put the files into `folder` all at once, keeping what else lies in it.

    A kill leaves the old folder, the new one, or the old one under its `.old` name, from
    where `recover_folders` brings it back; never a mixture.
    """
    new, old = folder.with_name(f".{folder.name}{NEW}"), folder.with_name(f".{folder.name}{OLD}")
    shutil.rmtree(new, ignore_errors=True)
    if folder.is_dir():
        shutil.copytree(folder, new)
    else:
        new.mkdir(parents=True)
    for name, text in files.items():
        _write_synced(new / name, text.encode())
    if folder.is_dir():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def remove_folder(folder: Path) -> None:
    """Take the folder away in one step: a kill leaves all of it, or nothing that is kept."""
    rubbish = folder.with_name(f".{folder.name}{NEW}")
    shutil.rmtree(rubbish, ignore_errors=True)
    folder.rename(rubbish)
    shutil.rmtree(rubbish, ignore_errors=True)


def has_leftovers(parent: Path) -> bool:
    """Whether a killed run left something below `parent` for `recover_folders`."""
    return any(path.name.endswith((OLD, NEW)) for path in parent.glob(".*"))


def recover_folders(parent: Path) -> list[str]:
    """Finish what a killed run began below `parent`; the names brought back. Call it under the lock."""
    recovered = []
    for leftover in sorted(parent.glob(f".*{OLD}")):
        folder = parent / leftover.name.removeprefix(".").removesuffix(OLD)
        if folder.exists():
            shutil.rmtree(leftover)
        else:
            leftover.rename(folder)
            recovered.append(folder.name)
    for leftover in sorted(parent.glob(f".*{NEW}")):
        shutil.rmtree(leftover, ignore_errors=True) if leftover.is_dir() else leftover.unlink()
    return recovered


@contextmanager
def only_one_run(
    path: Path, waiting: Callable[[str], None], interrupted: Callable[[], bool] = bool
) -> Iterator[None]:
    """Hold the lock file; where another run holds it, say so once through `waiting`, and wait.

    Raises `KeyboardInterrupt` if `interrupted` says meanwhile that there is no more use in it.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        waiting(f"another metalock run holds {path}; waiting for it to end")
        while not lock.is_locked:
            if interrupted():
                raise KeyboardInterrupt from None
            with suppress(Timeout):
                lock.acquire(timeout=WAIT_SECONDS)
    try:
        yield
    finally:
        lock.release()
