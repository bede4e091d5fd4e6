"""The interpreter of an environment: the locked version, and in a venv the one that pyvenv.cfg names."""

from __future__ import annotations

import filecmp
import os
import re
from collections.abc import Iterator
from pathlib import Path

from metalock.findings import CheckRule, Finding
from metalock.lock.model import Lock
from metalock.platforms import parse_release
from metalock.prefix.model import Backend
from metalock.prefix.read import Prefix, python_of, read_venv

_SYSTEM_SITE = "include-system-site-packages"
_NAMES = ("python", "python3", "python{minor}")
PROGRAM = re.compile(r"python(\d+(\.\d+)?t?)?")
"""The names of interpreters in the `bin` folder of a venv."""


def check_interpreter(lock: Lock, found: Prefix) -> Iterator[Finding]:
    """Yield how the interpreter differs from the lock's, or from the one that the venv was made on."""
    python = python_of(found.path)
    if not python.exists():
        yield _finding(found, "its interpreter is gone" if python.is_symlink() else "has no bin/python")
    if found.backend is not Backend.VENV:
        return
    if found.python is None or parse_release(found.python) != parse_release(lock.python):
        yield _finding(found, f"Python {found.python or 'of unknown version'}, the lock has {lock.python}")
    if _sees_system_site(found.path):
        yield _finding(found, f"pyvenv.cfg lacks {_SYSTEM_SITE} = false: the base's packages can be imported")
    bases = base_interpreters(found.path)
    others = [path.name for path in _executables(found) if path.exists() and not _is_base(path, bases)]
    if others:
        yield _finding(found, f"not the interpreter that pyvenv.cfg names: bin/{', bin/'.join(others)}")


def base_interpreters(prefix: Path) -> frozenset[str]:
    """Return the files that a venv's interpreter may be, by its pyvenv.cfg, with links resolved."""
    keys: dict[str, Path] = {}
    for key, value in _settings(prefix):
        if value.startswith("/"):
            keys.setdefault(key, Path(value))  # Python takes the first `home`
    paths = [keys[key] for key in ("executable", "base-executable") if key in keys]
    if "home" in keys:
        minor = re.search(r"^version(?:_info)?\s*=\s*(\d+\.\d+)", read_venv(prefix), re.MULTILINE)
        names = [name.format(minor=minor[1] if minor else "") for name in _NAMES]
        paths += [keys["home"] / name for name in names]
    return frozenset(os.path.realpath(path) for path in paths if path.exists())


def _settings(prefix: Path) -> Iterator[tuple[str, str]]:
    """Yield the keys and values of pyvenv.cfg as Python reads them."""
    for line in re.split(r"[\r\n]+", read_venv(prefix)):
        key, equals, value = line.partition("=")
        if equals:
            yield key.strip().lower(), value.strip()


def _sees_system_site(prefix: Path) -> bool:
    """Return whether Python adds the site-packages of the base: also where pyvenv.cfg does not say."""
    return dict(_settings(prefix)).get(_SYSTEM_SITE, "true").lower() == "true"


def _executables(found: Prefix) -> list[Path]:
    return sorted(path for path in (found.path / "bin").glob("python*") if PROGRAM.fullmatch(path.name))


def _is_base(path: Path, bases: frozenset[str]) -> bool:
    """Return whether a file is one of the base interpreters, or a copy of one."""
    if os.path.realpath(path) in bases:
        return True
    return any(filecmp.cmp(path, base, shallow=False) for base in bases)


def _finding(found: Prefix, detail: str) -> Finding:
    return Finding(rule=CheckRule.INTERPRETER, where=str(found.path), detail=detail)
