"""Installs pytest for the environments under test, in a folder outside of them."""

from __future__ import annotations

import hashlib
import shutil
import stat
import sys
import tempfile
from contextlib import suppress
from importlib import resources
from pathlib import Path

from metalock.adapters.proc import run
from metalock.adapters.uv import uv_environment, uv_path
from metalock.errors import FetchError

OLDEST_PYTHON = "3.8"
DIGEST = ".metalock-digest"
"""The file in the folder that holds the digest of all others."""
LARGEST = 64 << 20
"""Bytes of all files together; they are some three million."""


def suite_tools(cache: Path, index_url: str | None) -> Path:
    """Return a folder with pytest and what it needs, for every Python that is locked.

    It is made once, below `cache`, and again if it is damaged. Raises `FetchError` if its wheels are not
    available with the hashes that are stated.
    """
    text = (resources.files("metalock.smoke") / "tools.txt").read_bytes()
    folder = cache / "suite-tools" / hashlib.sha256(text).hexdigest()[:16]
    if _is_sound(folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    try:
        (new / "tools.txt").write_bytes(text)
        done = run(
            [
                uv_path(), "pip", "install", "--quiet", "--no-config", "--no-deps", "--require-hashes",
                "--only-binary", ":all:", "--python-version", OLDEST_PYTHON, "--link-mode", "copy",
                "--python", sys.executable,
                "--target", new / "tools", "--requirement", new / "tools.txt",
            ],
            env=uv_environment(index_url),
            cwd=new,
        )  # fmt: skip
        if done.code:
            raise FetchError(f"pytest for the smoke suite: {done.stderr.strip()}")
        (new / "tools" / DIGEST).write_text(str(_digest(new / "tools")), encoding="utf-8")
        if not _is_sound(folder):  # another run may have made it meanwhile
            with suppress(FileNotFoundError):
                folder.rename(new / "damaged")
            (new / "tools").rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return folder


def _is_sound(folder: Path) -> bool:
    """Return whether the folder is as it was made."""
    try:
        stated = (folder / DIGEST).read_text(encoding="utf-8")
        return not folder.is_symlink() and stated == _digest(folder)
    except (OSError, UnicodeDecodeError):
        return False


def _digest(folder: Path) -> str | None:
    """Return the digest of all files below a folder; None if there is anything but files of moderate size."""
    paths = sorted(path for path in folder.rglob("*") if path.name != DIGEST and not _is_folder(path))
    status = [path.lstat() for path in paths]
    if not all(stat.S_ISREG(one.st_mode) for one in status) or sum(one.st_size for one in status) > LARGEST:
        return None
    whole = hashlib.sha256()
    for path in paths:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{path.relative_to(folder).as_posix()}\0{digest}\n".encode())
    return whole.hexdigest()


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
