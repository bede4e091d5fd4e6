"""Files in an environment that no package accounts for, and symbolic links that lead out of it.

Only what Python, the loader or a shell would pick up is reported: modules, libraries, `.pth` files, programs
and activation scripts. Compiled bytecode comes and goes, and data files change nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from metalock.prefix.interpreter import PROGRAM, base_interpreters
from metalock.prefix.model import Backend
from metalock.prefix.read import Prefix

_FOLDERS = ("bin", "etc", "lib", "lib64", "libexec", "sbin")
_LIBRARY = re.compile(r".*\.(so(\.\d+)*|dylib)")
_IN_PYTHON = re.compile(r"lib(64)?/python\d+\.\d+[a-z]*/.*")
_MODULE = re.compile(r".*(\.pyc?|\.pth|\.egg|\.egg-link|\.zip)")
_STARTUP = re.compile(r"lib/python\d+\.zip|.*\._pth")
"""What an interpreter has on its path, or reads, before site-packages."""
_ACTIVATION = "etc/conda/"
_LINKED = re.compile(r"bin|etc(/conda)?|lib(64)?(/python\d+\.\d+[a-z]*)?|libexec|sbin")
"""Folders that are not searched if they are links, and what is in them counts."""
_SAME = {"lib64": "lib", "sbin": "bin"}
"""Links from one searched folder to another, which tools make."""
_OF_VENVS = re.compile(
    r"bin/([aA]ctivate(\.(bat|csh|fish|nu|ps1|xsh))?|Activate\.ps1|activate_this\.py|deactivate\.(bat|nu)|pydoc\.bat)"
    r"|lib/python\d+\.\d+/site-packages/_virtualenv\.(py|pth)"
)
"""What uv, virtualenv and the standard library write into every venv."""


@dataclass(slots=True)
class Unknown:
    """What a search found, relative to the environment and sorted."""

    files: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    """Symbolic links that lead out of the environment."""


def find_unknown(found: Prefix, accounted: set[str]) -> Unknown:
    """Return the files that are in none of the `accounted` paths, and the links that lead out."""
    root = os.path.realpath(found.path)
    is_venv = found.backend is Backend.VENV
    bases = base_interpreters(found.path) if is_venv else frozenset()
    unknown = Unknown()
    if not is_venv and (found.path / "pyvenv.cfg").exists() and "pyvenv.cfg" not in accounted:
        unknown.files.append("pyvenv.cfg")
    for path, is_link in _walk(found.path):
        if is_link:
            target = os.path.realpath(found.path / path)
            if path.startswith("bin/") and target in bases:
                continue
            if target != root and not target.startswith(f"{root}/"):
                unknown.links.append(path)
                continue
            if target == f"{root}/{_SAME.get(path)}":
                continue
        if path not in accounted and _counts(path, is_link=is_link) and not (is_venv and _is_of_venv(path)):
            unknown.files.append(path)
    unknown.files.sort()
    unknown.links.sort()
    return unknown


def _walk(prefix: Path) -> Iterator[tuple[str, bool]]:
    """Yield files and symbolic links below the folders that count, and whether each is a link."""
    waiting = []
    for name in _FOLDERS:
        if (prefix / name).is_symlink():
            yield name, True
        elif (prefix / name).is_dir():
            waiting.append(name)
    while waiting:
        folder = waiting.pop()
        with os.scandir(prefix / folder) as entries:
            for entry in entries:
                path = f"{folder}/{entry.name}"
                if entry.is_symlink():
                    yield path, True
                elif entry.is_dir():
                    waiting.append(path)
                else:
                    yield path, False


def _counts(path: str, *, is_link: bool) -> bool:
    """Return whether Python, the loader or a shell would pick the file up."""
    if (path.endswith(".pyc") and "/__pycache__/" in path) or path.endswith("/.DS_Store"):
        return False
    if is_link and _LINKED.fullmatch(path):
        return True
    if path.startswith(("bin/", _ACTIVATION)) or _LIBRARY.fullmatch(path) or _STARTUP.fullmatch(path):
        return True
    return bool(_IN_PYTHON.fullmatch(path)) and (is_link or bool(_MODULE.fullmatch(path)))


def _is_of_venv(path: str) -> bool:
    folder, _, name = path.rpartition("/")
    return bool(_OF_VENVS.fullmatch(path)) or (folder == "bin" and bool(PROGRAM.fullmatch(name)))
