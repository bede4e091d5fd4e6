"""The interpreter of an environment: the locked version, and in a venv the one that pyvenv.cfg names."""

from __future__ import annotations

import filecmp
import os
import re
from collections.abc import Iterator
from pathlib import Path

from metalock.findings import CheckRule, Finding
from metalock.lock.model import Lock
from metalock.platforms import minor_of, parse_release
from metalock.prefix.model import Backend
from metalock.prefix.read import Prefix, python_of, read_venv

_KEY = re.compile(r"^(home|executable|base-executable)\s*=\s*(/.*?)\s*$", re.MULTILINE)
_SYSTEM_SITE = re.compile(r"^include-system-site-packages\s*=\s*true\s*$", re.MULTILINE | re.IGNORECASE)
_NAMES = ("python", "python3", "python{minor}")


def check_interpreter(lock: Lock, found: Prefix) -> Iterator[Finding]:
    """Yield how the interpreter differs from the lock's, or from the one that the venv was made on."""
    python = python_of(found.path)
    if not python.exists():
        yield _finding(found, "its interpreter is gone" if python.is_symlink() else "has no bin/python")
    if found.backend is not Backend.VENV:
        return
    if found.python is None or parse_release(found.python) != parse_release(lock.python):
        yield _finding(found, f"Python {found.python or 'of unknown version'}, the lock has {lock.python}")
    if _SYSTEM_SITE.search(read_venv(found.path)):
        yield _finding(found, "pyvenv.cfg has include-system-site-packages = true, which a build never sets")
    bases = base_interpreters(found.path)
    others = [path.name for path in _executables(found) if path.exists() and not _is_base(path, bases)]
    if others:
        yield _finding(found, f"not the interpreter that pyvenv.cfg names: bin/{', bin/'.join(others)}")


def base_interpreters(prefix: Path) -> frozenset[str]:
    """Return the files that a venv's interpreter may be, by its pyvenv.cfg, with links resolved."""
    keys = {key: Path(value) for key, value in _KEY.findall(read_venv(prefix))}
    paths = [keys[key] for key in ("executable", "base-executable") if key in keys]
    if "home" in keys:
        minor = re.search(r"^version(?:_info)?\s*=\s*(\d+\.\d+)", read_venv(prefix), re.MULTILINE)
        names = [name.format(minor=minor[1] if minor else "") for name in _NAMES]
        paths += [keys["home"] / name for name in names]
    return frozenset(os.path.realpath(path) for path in paths if path.exists())


def _executables(found: Prefix) -> Iterator[Path]:
    minor = minor_of(found.python or "3")
    for name in _NAMES:
        yield found.path / "bin" / name.format(minor=minor)


def _is_base(path: Path, bases: frozenset[str]) -> bool:
    """Return whether a file is one of the base interpreters, or a copy of one."""
    if os.path.realpath(path) in bases:
        return True
    return any(filecmp.cmp(path, base, shallow=False) for base in bases)


def _finding(found: Prefix, detail: str) -> Finding:
    return Finding(rule=CheckRule.INTERPRETER, where=str(found.path), detail=detail)
