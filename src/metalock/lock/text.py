"""A lock to and from the text of `lock.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from metalock.errors import MetalockError
from metalock.lock.model import CondaPackage, Lock, PipPackage
from metalock.platforms import Platform

_HEX = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+!-]*")
_BUILD = re.compile(r"[0-9A-Za-z_.+]+")
_CHANNEL = re.compile(r"https?://[A-Za-z0-9.:/_~-]+")
_FILE = re.compile(r"[0-9A-Za-z_][0-9A-Za-z._+!-]*")


class LockTextError(MetalockError):
    """The text is no lock, or not the one that metalock wrote."""


def lock_text(lock: Lock) -> str:
    """JSON with a package on each line, so that a diff shows one line for one package."""
    body = lock.body()
    lines = [f' "digest": {json.dumps(lock.digest)}']
    for key, value in body.items():
        if isinstance(value, list):
            rows = ",\n".join(f"  {_compact(item)}" for item in value)
            lines.append(f' "{key}": [\n{rows}\n ]' if rows else f' "{key}": []')
        else:
            lines.append(f' "{key}": {json.dumps(value)}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=True)


def parse_lock(text: str) -> Lock:
    """Raise `LockTextError` unless the text is byte for byte what `lock_text` gives for a sound lock."""
    try:
        table = json.loads(text)
        lock = _read_lock(table)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise LockTextError(f"not a lock: {type(error).__name__}: {error}") from None
    if table.get("digest") != lock.digest or lock_text(lock) != text:
        raise LockTextError("changed since it was written")
    return lock


def _read_lock(table: Mapping[str, object]) -> Lock:
    if table["schema"] != 1:
        raise ValueError(f"schema {table['schema']!r}, expected 1")
    platform = Platform(_matching(_VERSION, table["platform"]))
    conda = tuple(_read_conda(item) for item in _items(table["conda"]))
    pip = tuple(_read_pip(item) for item in _items(table["pip"]))
    for names in ([package.name for package in conda], [package.name for package in pip]):
        if names != sorted(set(names)):
            raise ValueError("packages out of order")
    return Lock(
        platform=platform,
        python=_matching(_VERSION, table["python"]),
        floor=_matching(_VERSION, table[platform.floor_key]),
        inputs=_matching(_HEX, table["inputs"]),
        conda=conda,
        pip=pip,
    )


def _read_conda(item: Mapping[str, object]) -> CondaPackage:
    record = dict(item)
    channel = _matching(_CHANNEL, record.pop("channel"))
    for key, pattern in (
        ("name", _NAME),
        ("version", _VERSION),
        ("build", _BUILD),
        ("fn", _FILE),
        ("sha256", _HEX),
    ):
        _matching(pattern, record[key])
    if record["subdir"] not in (*Platform, "noarch"):
        raise ValueError(f"subdir {record['subdir']!r}")
    return CondaPackage(channel=channel, record=record)


def _read_pip(item: Mapping[str, object]) -> PipPackage:
    size = item["size"]
    if type(size) is not int or size < 0 or len(item) != len(PipPackage.__dataclass_fields__):
        raise ValueError(f"pip entry {item.get('name')!r}")
    return PipPackage(
        name=_matching(_NAME, item["name"]),
        version=_matching(_VERSION, item["version"]),
        file=_matching(_FILE, item["file"]),
        sha256=_matching(_HEX, item["sha256"]),
        size=size,
    )


def _items(value: object) -> Sequence[Mapping[str, object]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise TypeError("expected a list of objects")
    return value


def _matching(pattern: re.Pattern[str], value: object) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"unexpected {value!r}")
    return value
