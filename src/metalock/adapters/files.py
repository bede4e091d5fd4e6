"""Files and folders: read in one piece, written whole or not at all."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from metalock.errors import UsageError

WAIT_SECONDS = 1
"""Time between two checks whether a wait was interrupted."""
OLD = ".metalock-old-"
NEW = ".metalock-new-"
"""The names of temporary files and folders begin with one of these, so that none is taken for a user's."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add the file's name to an `OSError` that has none, as that of a write to a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def write_text(path: Path, text: str) -> bool:
    """Replace the file's content atomically; return False, and write nothing, if it already is that text.

    A symbolic link is followed and kept, and so are the permission bits. Raise `UsageError` if the
    path is something other than a regular file, or a file without permission to write.
    """
    mode = _mode_to_keep(path)
    data = text.encode()
    if mode is not None and path.read_bytes() == data:
        return False
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{NEW}{target.name}")
    try:
        _write_synced(temporary, data, mode)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _mode_to_keep(path: Path) -> int | None:
    """Return the permission bits of a file that may be replaced, None if there is no file."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):
        raise UsageError(
            f"{path} is not a regular file", hint="Name a regular file, or one that does not exist yet."
        )
    if not _may_write(path):
        raise UsageError(f"{path} is read-only", hint="Run `chmod u+w` on it, or name another file.")
    return stat.S_IMODE(mode)


def _may_write(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _write_synced(path: Path, data: bytes, mode: int | None) -> None:
    """Create the file in place of any old one and sync it; an error names the file."""
    path.unlink(missing_ok=True)
    with naming(path):
        with path.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            path.chmod(mode)


def replace_folder(folder: Path, files: Mapping[str, str]) -> None:
    """Put the files into the folder all at once, and keep its other files.

    A run that is killed leaves the old folder, the new one, or the old one under its temporary name,
    from which `recover_folders` restores it; never a mixture. Raise `UsageError` if the folder is a
    symbolic link, not a folder, or holds what cannot be copied.
    """
    _require_folder(folder)
    modes = {name: _mode_of(folder / name) for name in files}
    with _new_version(folder, ()) as new:
        for name, text in files.items():
            _write_synced(new / name, text.encode(), modes[name])


def remove_files(folder: Path, names: Collection[str]) -> list[str]:
    """Remove these files from the folder all at once; return what is left in it.

    The folder is removed too if nothing is left. A run that is killed leaves the folder as
    `replace_folder` does.
    """
    _require_folder(folder)
    held = sorted(path.name for path in folder.iterdir())
    left = [name for name in held if name not in names and not name.startswith(NEW)]
    if left:
        with _new_version(folder, names):
            pass
    else:
        remove_folder(folder)
    return left


@contextmanager
def _new_version(folder: Path, without: Collection[str]) -> Iterator[Path]:
    """Give a copy of the folder to change; replace the folder with it if the block succeeds."""
    new, old = temporary_path(folder, NEW), temporary_path(folder, OLD)
    _remove_tree(new)
    try:
        if folder.is_dir():
            _copy_folder(folder, new, without)
        else:
            new.mkdir(parents=True)
        yield new
        if folder.is_dir():
            folder.rename(old)
        new.rename(folder)
    except BaseException:
        if old.is_dir() and not folder.exists():
            old.rename(folder)
        _remove_tree(new)
        raise
    _remove_tree(old)


def _copy_folder(folder: Path, new: Path, without: Collection[str]) -> None:
    def ignored(path: str, names: list[str]) -> list[str]:
        return [name for name in names if name.startswith(NEW) or (name in without and path == str(folder))]

    try:
        shutil.copytree(folder, new, symlinks=True, ignore=ignored)
    except shutil.Error as error:
        reasons = "; ".join(str(reason) for _, _, reason in error.args[0])
        raise UsageError(
            f"{folder} cannot be copied: {reasons}",
            hint="Move the files that metalock did not write out of that folder.",
        ) from None


def _require_folder(folder: Path) -> None:
    """Raise `UsageError` unless the folder can be replaced, or does not exist."""
    if folder.is_symlink():
        raise UsageError(
            f"{folder} is a symbolic link, and an environment's folder is replaced as a whole",
            hint=f"Replace the link with the folder it points to: {os.path.realpath(folder)}",
        )
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", hint="Move or delete that file.")
    if not _may_write(folder):
        raise UsageError(f"{folder} is read-only", hint="Run `chmod u+w` on that folder.")


def _mode_of(path: Path) -> int | None:
    """Return the permission bits of a regular file, None for anything else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return None
    return stat.S_IMODE(mode) if stat.S_ISREG(mode) else None


def temporary_path(path: Path, prefix: str) -> Path:
    """Return the temporary name of a file or folder, in the same parent folder.

    >>> temporary_path(Path("envs/tf2.18-py3.11"), NEW).name
    '.metalock-new-tf2.18-py3.11'
    """
    return path.with_name(f"{prefix}{path.name}")


def remove_folder(folder: Path) -> None:
    """Remove the folder in one step: a run that is killed leaves all of it, or only its temporary name."""
    rubbish = temporary_path(folder, NEW)
    _remove_tree(rubbish)
    folder.rename(rubbish)
    with suppress(OSError):
        _remove_tree(rubbish)


def _remove_tree(folder: Path) -> None:
    """Remove a folder that may not exist, together with the read-only folders in it."""
    if not folder.is_dir():
        return
    for path, _, _ in os.walk(folder):
        with suppress(OSError):
            Path(path).chmod(stat.S_IRWXU)
    shutil.rmtree(folder)


def has_leftovers(parent: Path) -> bool:
    """Return whether a killed run left something in `parent` for `recover_folders`."""
    return bool(_leftovers(parent, OLD) or _leftovers(parent, NEW))


def recover_folders(parent: Path) -> list[str]:
    """Finish what a killed run began in `parent`; return the names of restored folders.

    Call it with the run lock held.
    """
    recovered = []
    for leftover in _leftovers(parent, OLD):
        folder = parent / leftover.name.removeprefix(OLD)
        if folder.exists():
            _remove_tree(leftover)
        else:
            leftover.rename(folder)
            recovered.append(folder.name)
    for leftover in _leftovers(parent, NEW):
        _remove_tree(leftover)
    return recovered


def _leftovers(parent: Path, prefix: str) -> list[Path]:
    """Return the folders with a temporary name; anything else of such a name is left alone."""
    found = sorted(parent.glob(f"{prefix}?*"))
    return [path for path in found if path.is_dir() and not path.is_symlink()]


@contextmanager
def only_one_run(
    path: Path, waiting: Callable[[str], None], interrupted: Callable[[], bool] = bool
) -> Iterator[None]:
    """Hold the lock file; if another run holds it, report that once through `waiting`, and wait.

    Raise `KeyboardInterrupt` if `interrupted` returns True meanwhile, and `UsageError` if the path
    is a file with content, which metalock cannot have written.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink() or (path.exists() and (not path.is_file() or path.stat().st_size)):
        raise UsageError(f"{path} is not a lock file of metalock", hint="Move or delete that file.")
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
