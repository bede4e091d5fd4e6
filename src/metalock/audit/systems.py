"""What a machine has before any wheel is installed: libraries, symbol versions and names, by its floor."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from metalock.binaries import Format, Version

if TYPE_CHECKING:
    from collections.abc import Collection

_PYTHON = re.compile(r"_{0,3}Py[A-Z_]\w*")
_FRAMEWORK = re.compile(r"/System/Library/Frameworks/(\w+)\.framework/(?:Versions/\w+/)?\1")
_MACOS = ("/usr/lib/", "/System/")
_OWNERS = {
    "GLIBCXX": "libstdc++.so.6",
    "CXXABI": "libstdc++.so.6",
    "GCC": "libgcc_s.so.1",
    "LIBATOMIC": "libatomic.so.1",
    "ZLIB": "libz.so.1",
}
"""Which library of Linux defines the symbol versions that begin like this; those of glibc have several."""


@cache
def _table() -> dict[str, Any]:
    data: dict[str, Any] = tomllib.loads(
        (resources.files("metalock.audit") / "systems.toml").read_text(encoding="utf-8")
    )
    return data


def _release(text: str) -> Version:
    return tuple(int(number) for number in text.split("."))


def _until(table: dict[str, list[str]], floor: Version | None) -> frozenset[str]:
    """Return what came with the floor or before it; without a floor, everything."""
    return frozenset(
        name for since, names in table.items() if floor is None or _release(since) <= floor for name in names
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """The oldest machine that is promised: its loader's format and its floor; None means any."""

    format: Format
    floor: Version | None = None

    def has(self, name: str) -> bool | None:
        """Return whether the system has a library of that name or path; None if that is not known."""
        if self.format is Format.ELF:
            return name in _table()["linux"]["libraries"]
        if not name.startswith(_MACOS):
            return False
        known = _macos_libraries(self.floor)
        framework = _FRAMEWORK.fullmatch(name)
        if (framework and framework[1] in _frameworks(self.floor)) or name in known:
            return True
        if any(name.startswith(folder) for folder in known if folder.endswith("/")):
            return True
        return None

    def defines(self, library: str, version: str) -> bool:
        """Return whether that library of a Linux machine defines the symbol version.

        Those of glibc count whatever the floor is: rule A301 compares them with it.
        """
        kind = version.partition("_")[0]
        if _OWNERS.get(kind, library) != library or (kind == "GLIBC" and library in _OWNERS.values()):
            return False
        return version in _table()["linux"]["glibc"] or version in _versions(self.floor)

    def exports(self, name: str, linked: Collection[str]) -> bool:
        """Return whether Python, what it has loaded, or one of these libraries of the system has the name.

        Of Python, and of libraries without a list here, all names that fit theirs are taken to be there.
        """
        if _PYTHON.fullmatch(name):
            return True
        if self.format is Format.MACH_O:
            return _in_macos(name, security=any("Security.framework" in library for library in linked))
        return name in _functions(self.floor) or any(_in_library(name, library) for library in linked)


@cache
def _versions(floor: Version | None) -> frozenset[str]:
    return _until(_table()["linux"]["versions"], floor)


@cache
def _functions(floor: Version | None) -> frozenset[str]:
    texts = {since: text.split() for since, text in _table()["linux"]["functions"].items()}
    return _until(texts, floor)


@cache
def _macos_libraries(floor: Version | None) -> frozenset[str]:
    return _until(_table()["macos"]["libraries"], floor)


@cache
def _frameworks(floor: Version | None) -> frozenset[str]:
    return _until(_table()["macos"]["frameworks"], floor)


@lru_cache(1 << 14)
def _in_library(name: str, library: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in _table()["linux"]["names"].get(library, ()))


@lru_cache(1 << 14)
def _in_macos(name: str, *, security: bool) -> bool:
    names = _table()["macos"]["names"]
    patterns = [*names["every"], *(names["Security"] if security else ())]
    c_name = name.removeprefix("_")
    return c_name in _functions(None) or any(fnmatchcase(name, pattern) for pattern in patterns)
