"""`metalock init`: a small working project in an empty folder."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

from metalock.adapters.files import write_text
from metalock.errors import UsageError
from metalock.render import RENDERED, TEMPLATE_SUFFIX

STARTER = {"matrix.toml": "matrix.toml", "Makefile": "Makefile", "gitignore": ".gitignore"}
"""Name in the package to name in the folder."""


def write_starter(folder: Path) -> list[Path]:
    """Write the files, and return their paths; raise `UsageError` if one exists, and write nothing."""
    package = resources.files("metalock")
    files = {
        folder / name: (package / "starter" / source).read_text(encoding="utf-8")
        for source, name in STARTER.items()
    }
    for name in RENDERED:
        template = f"{name}{TEMPLATE_SUFFIX}"
        text = (package / "templates" / template).read_text(encoding="utf-8")
        files[folder / "templates" / template] = text
    taken = [path for path in files if os.path.lexists(path)]
    if taken:
        raise UsageError(f"{taken[0]} exists already", hint="Run `metalock init` in an empty folder.")
    for path, text in files.items():
        write_text(path, text)
    return list(files)
