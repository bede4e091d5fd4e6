"""RECORD files of wheels: their entries, one digest that survives an installation, and the table of digests.

An installer moves files out of a wheel's `*.data` folder, changes the first line of scripts, compiles
bytecode and adds entries of its own. The digest leaves out just that, so that it is the same for the RECORD
in a wheel and for the one that pip or uv writes next to the installed files.
"""

from __future__ import annotations

import csv
import io
import json
import posixpath
import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import NamedTuple

from metalock.parsing import parse_json

SCHEMA = 1
STRONG = frozenset({"sha256", "sha384", "sha512"})
"""The hash algorithms that count; wheels may use no weaker ones."""
_MOST_FIELDS = 3
_UNHASHED = frozenset({"RECORD", "RECORD.jws", "RECORD.p7s"})
_OF_INSTALLERS = _UNHASHED | {"INSTALLER", "REQUESTED", "direct_url.json", "uv_build.json", "uv_cache.json"}
IN_SITE_PACKAGES = ("purelib", "platlib")
"""The schemes whose files are installed into site-packages."""
_OUTSIDE = "../"
"""What the paths of files outside of site-packages begin with; the rest is relative to the environment."""
_BIN = f"{_OUTSIDE}bin/"
_INCLUDE = re.compile(r"include/(?:site/)?python\d+\.\d+[a-z]*/[^/]+/")
"""Where installers put a wheel's headers, up to the folder of the package."""
_BYTECODE = re.compile(r"(?P<folder>.*?)__pycache__/(?P<module>[^/]+?)\.[^/]*\.pyc", re.DOTALL)
_SECTION = re.compile(r"\s*\[\s*(.+?)\s*\]\s*")
_SCRIPT_SECTIONS = ("console_scripts", "gui_scripts")
_NUMBERED = re.compile(r"(pip|easy_install)-?\d+(?:\.\d+)?")
"""Scripts that pip makes for itself, next to those that its wheel names."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


class RecordError(ValueError):
    """A RECORD, or the table of digests, that cannot be read."""


class Entry(NamedTuple):
    """One line of a RECORD."""

    path: str
    hash: str = ""
    """Algorithm and digest as written: `sha256=...`."""
    size: str = ""


def parse_record(text: str) -> list[Entry]:
    """Return the entries of a RECORD; raise `RecordError` if it is not one."""
    entries: list[Entry] = []
    try:
        for row in csv.reader(io.StringIO(text, newline="")):
            if not row:
                continue
            if len(row) > _MOST_FIELDS or not row[0] or "\0" in row[0]:
                raise RecordError(f"entry {len(entries) + 1} is not a path, a hash and a size")
            entries.append(Entry(*row))
    except csv.Error as error:
        raise RecordError(f"entry {len(entries) + 1}: {error}") from None
    return entries


def script_names(entry_points: str) -> frozenset[str]:
    r"""Return the names of the scripts that installers make for an `entry_points.txt`.

    >>> sorted(script_names("[console_scripts]\nf2py = numpy.f2py:main\n[other]\nx = y\n"))
    ['f2py']
    """
    names, section = set(), ""
    for line in entry_points.splitlines():
        header = _SECTION.fullmatch(line)
        if header:
            section = header[1]
        elif section in _SCRIPT_SECTIONS and "=" in line and not line.lstrip().startswith(("#", ";")):
            names.add(line.partition("=")[0].strip())
    return frozenset(names)


def scheme_of(member: str) -> tuple[str | None, str]:
    """Return the scheme of a wheel's member, and its path in the scheme (PEP 427, "Spreading").

    Most members have no scheme: they are installed into site-packages by their own path.


    >>> scheme_of("jax-1.0.data/scripts/jax"), scheme_of("jax/__init__.py")
    (('scripts', 'jax'), (None, 'jax/__init__.py'))
    """
    top, _, rest = member.partition("/")
    if not top.endswith(".data") or not rest:
        return None, member
    scheme, _, path = rest.partition("/")
    return scheme, path


def wheel_digest(entries: Iterable[Entry], scripts: frozenset[str]) -> str:
    """Return the digest of the RECORD in a wheel whose entry points make these scripts."""
    return _digest((entry._replace(path=_place(entry.path)) for entry in entries), scripts)


def installed_digest(entries: Iterable[Entry], scripts: frozenset[str]) -> str:
    """Return the digest of an installed RECORD, its paths being those of `site_path`."""
    return _digest(entries, scripts)


def site_path(path: str, site: str) -> str | None:
    """Return a path relative to the folder `site` as one relative to it, or with `../` to the environment.

    None if it leads out of the environment.

    >>> site_path("../../../bin/f2py", "lib/python3.11/site-packages")
    '../bin/f2py'
    """
    if not path.startswith((".", "/")) and "/." not in path and "//" not in path:
        return path
    if path.startswith("/"):
        return None
    whole = posixpath.normpath(f"{site}/{path}")
    if whole.startswith(f"{site}/"):
        return whole.removeprefix(f"{site}/")
    return None if whole.split("/")[0] in ("..", ".") else _OUTSIDE + whole


def is_inside(path: str) -> bool:
    """Return whether a path relative to the environment is in normal form and stays in it.

    >>> [is_inside(path) for path in ("lib/x/.lock", "../x", "/x", "a/../../x", "a//b")]
    [True, False, False, False, False]
    """
    return (
        posixpath.normpath(path) == path
        and not path.startswith("/")
        and path.split("/", maxsplit=1)[0] not in ("..", ".")
    )


def prefix_path(path: str, site: str) -> str:
    """Return a path of `site_path` relative to the environment."""
    return path.removeprefix(_OUTSIDE) if path.startswith(_OUTSIDE) else f"{site}/{path}"


def source_of(path: str) -> str | None:
    """Return the module that a file in `__pycache__` was compiled from; None for other files.

    >>> source_of("numpy/__pycache__/version.cpython-311.pyc")
    'numpy/version.py'
    """
    found = _BYTECODE.fullmatch(path) if path.endswith(".pyc") else None
    return f"{found['folder']}{found['module']}.py" if found else None


def may_lack_hash(path: str) -> bool:
    """Return whether an installed RECORD may name the file without a hash."""
    return source_of(path) is not None or _is_of_installer(path)


def _is_of_installer(path: str) -> bool:
    folder, _, name = path.partition("/")
    return name in _OF_INSTALLERS and folder.endswith(".dist-info")


def _place(path: str) -> str:
    """Return where an installer puts a member of a wheel, see "Spreading" in PEP 427."""
    scheme, inner = scheme_of(path)
    if scheme is None or scheme in IN_SITE_PACKAGES:
        return inner
    folder = {"scripts": "bin/", "headers": "include/", "data": ""}.get(scheme, f"{scheme}/")
    return f"{_OUTSIDE}{folder}{inner}"


def _digest(entries: Iterable[Entry], scripts: frozenset[str]) -> str:
    rows = {row for entry in entries if (row := _comparable(entry, scripts)) is not None}
    return sha256(json.dumps(sorted(rows)).encode()).hexdigest()


def _comparable(entry: Entry, scripts: frozenset[str]) -> Entry | None:
    path = entry.path
    if source_of(path) is not None:
        return None
    if path.startswith(_BIN):
        # its first line may name the interpreter by now, or it may be made for an entry point
        return None if _is_made(path.removeprefix(_BIN), scripts) else Entry(path)
    if not entry.hash or _is_of_installer(path):
        return None
    if path.startswith(_OUTSIDE):
        path = _OUTSIDE + _INCLUDE.sub("include/", path.removeprefix(_OUTSIDE))
    return Entry(path, entry.hash.rstrip("="), entry.size)


def _is_made(script: str, scripts: frozenset[str]) -> bool:
    numbered = _NUMBERED.fullmatch(script)
    return script in scripts or (numbered is not None and numbered[1] in scripts)


def parse_table(text: str) -> dict[str, str]:
    """Return the table of digests by the sha256 of their wheels; raise `RecordError` if it is not one."""
    try:
        table = parse_json(text)
    except ValueError:
        raise RecordError("not JSON") from None
    if not isinstance(table, dict) or table.get("schema") != SCHEMA:
        raise RecordError(f"not of schema {SCHEMA}")
    records = table.get("records")
    if not isinstance(records, dict):
        raise RecordError("no table of records")
    for one in (*records, *records.values()):
        if not isinstance(one, str) or not _SHA256.fullmatch(one):
            raise RecordError("one of its records is not two sha256")
    return records


def table_text(records: Mapping[str, str]) -> str:
    """Return the table as JSON, one wheel a line."""
    return json.dumps({"schema": SCHEMA, "records": dict(sorted(records.items()))}, indent=0) + "\n"
