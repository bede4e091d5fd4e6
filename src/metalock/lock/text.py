"""Writing and reading the text of `lock.json`."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache

from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from metalock.errors import MetalockError
from metalock.lock.model import CondaPackage, Lock, PipPackage
from metalock.parsing import as_table, parse_json
from metalock.platforms import Platform

SCHEMA = 1
SHOWN = 300
"""Characters of wrong values that a message repeats."""
_DIGEST = re.compile(r'\{\n "digest": "([0-9a-f]{64})",\n')
_HEX = r"[0-9a-f]{64}"
_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?"
_VERSION = r"[0-9A-Za-z][0-9A-Za-z._+!-]*"
_FILE = r"[0-9A-Za-z_][0-9A-Za-z._+!-]*"
_PYTHON = r"[0-9]{1,2}\.[0-9]{1,3}(?:\.[0-9A-Za-z._+!-]*)?"
_LOCK = re.compile(rf"{_HEX}\n{_PYTHON}\n{_VERSION}")
_CONDA = re.compile(
    rf"https?://[A-Za-z0-9.:/_~-]+\n(?:{'|'.join(Platform)}|noarch)\n{_NAME}\n{_VERSION}\n[0-9A-Za-z_.+]+\n{_FILE}\n{_HEX}"
)
_PIP = re.compile(rf"{_NAME}\n{_VERSION}\n{_FILE}\n{_HEX}")


class LockTextError(MetalockError):
    """The text is not a lock, or not the one that metalock wrote."""


def lock_text(lock: Lock) -> str:
    """Return JSON with a package on each line, so that a diff shows one line for one package."""
    rest = _text_after_digest(lock)
    return f'{{\n "digest": "{_sha256(rest)}",\n{rest}'


def _text_after_digest(lock: Lock) -> str:
    head = {
        "schema": SCHEMA,
        "inputs": lock.inputs,
        "platform": lock.platform,
        "python": lock.python,
        lock.platform.floor_key: lock.floor,
    }
    conda = [{"channel": package.channel, **dict(sorted(package.record.items()))} for package in lock.conda]
    pip = [
        {"name": p.name, "version": p.version, "file": p.file, "sha256": p.sha256, "size": p.size}
        for p in lock.pip
    ]
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    for key, items in (("conda", conda), ("pip", pip)):
        rows = ",\n".join(f"  {json.dumps(item)}" for item in items)
        lines.append(f' "{key}": [\n{rows}\n ]' if rows else f' "{key}": []')
    return ",\n".join(lines) + "\n}\n"


def parse_lock(text: str) -> Lock:
    """Return the lock; raise `LockTextError` for other text, or for a lock that was changed by hand."""
    found = _DIGEST.match(text)
    if found is None:
        raise LockTextError("not a lock: it does not begin with its digest")
    if found[1] != _sha256(text[found.end() :]):
        raise LockTextError("changed since it was written")
    try:
        return _read_lock(as_table(parse_json(text)))
    except (ValueError, KeyError, TypeError) as error:
        raise LockTextError(f"not a lock: {type(error).__name__}: {error}") from None


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _read_lock(table: Mapping[str, object]) -> Lock:
    if table["schema"] != SCHEMA:
        raise ValueError(f"schema {table['schema']!r}, expected {SCHEMA}")
    platform = Platform(str(table["platform"]))
    inputs, python, floor = _matching(_LOCK, table, ("inputs", "python", platform.floor_key))
    conda = tuple(_read_conda(item) for item in _items(table["conda"]))
    pip = tuple(_read_pip(item) for item in _items(table["pip"]))
    if fault := platform.floor_fault(floor):
        raise ValueError(f"{platform.floor_key}: {fault}")
    for names in ([package.name for package in conda], [package.name for package in pip]):
        if names != sorted(set(names)):
            raise ValueError("packages out of order")
    return Lock(platform=platform, python=python, floor=floor, inputs=inputs, conda=conda, pip=pip)


def _read_conda(item: Mapping[str, object]) -> CondaPackage:
    _matching(_CONDA, item, ("channel", "subdir", "name", "version", "build", "fn", "sha256"))
    record = dict(item)
    if not all(_is_plain(value) for value in record.values()):
        raise ValueError(f"unexpected in the record of {record['name']}")
    return CondaPackage(channel=str(record.pop("channel")), record=record)


def _read_pip(item: Mapping[str, object]) -> PipPackage:
    name, version, file, sha256 = _matching(_PIP, item, ("name", "version", "file", "sha256"))
    size = item["size"]
    if type(size) is not int or size < 0:
        raise ValueError(f"size of {name}: {size!r}")
    if not _is_wheel_of(name, version, file):
        raise ValueError(f"{file} is not a wheel of {name} {version}")
    return PipPackage(name=name, version=version, file=file, sha256=sha256, size=size)


def _is_plain(value: object, depth: int = 3) -> bool:
    """Return whether the value is as flat as those of repodata records, so that it can be written again."""
    if isinstance(value, list):
        return depth > 0 and all(_is_plain(item, depth - 1) for item in value)
    if isinstance(value, dict):
        return depth > 0 and all(_is_plain(item, depth - 1) for item in value.values())
    return True


@cache
def _is_wheel_of(name: str, version: str, file: str) -> bool:
    """Return whether a wheel's file name has that name and version."""
    found, release, _, _ = parse_wheel_filename(file)
    return (found, release) == (canonicalize_name(name), Version(version))


def _items(value: object) -> Sequence[Mapping[str, object]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise TypeError("expected a list of objects")
    return value


def _matching(pattern: re.Pattern[str], item: Mapping[str, object], keys: Sequence[str]) -> list[str]:
    """Return the values; raise `ValueError` for one that must not reach a path, a URL or YAML."""
    values = [str(item[key]) for key in keys]
    if not pattern.fullmatch("\n".join(values)):
        raise ValueError(f"unexpected among {', '.join(keys)}: {str(values)[:SHOWN]}")
    return values
