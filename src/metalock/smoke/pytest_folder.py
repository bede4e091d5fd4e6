"""pytest for the environments under test, kept outside of them."""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from importlib import resources
from pathlib import Path

from metalock.adapters.proc import run
from metalock.adapters.uv import uv_environment, uv_path
from metalock.errors import FetchError

OLDEST_PYTHON = "3.8"


def suite_tools(cache: Path, index_url: str | None) -> Path:
    """A folder with pytest and what it needs, for every Python that is locked; made once, below `cache`.

    Raises `FetchError` if its wheels can't be had with the hashes that are stated.
    """
    text = (resources.files("metalock.smoke") / "tools.txt").read_bytes()
    folder = cache / "suite-tools" / hashlib.sha256(text).hexdigest()[:16]
    if folder.is_dir():
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
        if not folder.is_dir():
            (new / "tools").rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return folder
