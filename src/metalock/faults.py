"""Typed reading of a TOML table that collects every fault with its path."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from typing import TypeVar

T = TypeVar("T")

SHOWN = 60
"""Characters of a string that a message repeats."""
HUGE = 2**63
"""Where integers end in TOML; Python's go on, but not as text."""
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_TOML_NAMES: dict[type, str] = {
    str: "a string",
    int: "an integer",
    bool: "a boolean",
    float: "a float",
    list: "an array",
    dict: "a table",
    date: "a date",
    time: "a time",
}


def describe(value: object) -> str:
    """How a TOML value is named in a message: its type, and its text where that is short.

    >>> describe("3.11"), describe([1])
    ('the string "3.11"', 'an array')
    """
    if isinstance(value, str) and len(value) <= SHOWN:
        return f"the string {json.dumps(value)}"
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < HUGE:
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat() if value.tzinfo else "a date-time without offset"
    return _TOML_NAMES[type(value)]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean "python"?`, or nothing where no known word is near."""
    near = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.75)
    return f'; did you mean "{near[0]}"?' if near else ""


def join(path: str, key: str | int) -> str:
    """One step further on a TOML path.

    >>> join("stack", "tf2.18"), join("channels", 0)
    ('stack."tf2.18"', 'channels[0]')
    """
    if isinstance(key, int):
        return f"{path}[{key}]"
    shown = key if len(key) <= SHOWN else f"{key[:SHOWN]}..."
    if not BARE_KEY.fullmatch(shown):
        shown = json.dumps(shown)
    return f"{path}.{shown}" if path else shown


class Faults:
    """The faults found so far."""

    def __init__(self) -> None:
        self.texts: dict[str, None] = {}
        """Each once: what a stack says may be looked at for several platforms."""

    def add(self, path: str, text: str) -> None:
        """Note that what stands at `path` is wrong, and how."""
        self.texts[f"{path}: {text}"] = None

    def within(self, path: str) -> bool:
        """Whether any fault lies at that path or below it."""
        return any(text.startswith((f"{path}:", f"{path}.", f"{path}[")) for text in self.texts)

    def unknown_keys(self, table: Mapping[str, object], path: str, known: Iterable[str]) -> None:
        """Note every key of `table` that isn't known."""
        names = list(known)
        for key in table:
            if key not in names:
                expected = did_you_mean(key, names) or f"; expected one of {', '.join(names)}"
                self.add(join(path, key), f"unknown key{expected}")

    def take(
        self, table: Mapping[str, object], path: str, key: str, kind: type[T], default: T | None = None
    ) -> T | None:
        """The value of `key` if it is of that kind; else note a fault. Absent, it is `default`."""
        if key not in table:
            if default is None:
                self.add(join(path, key), f"missing; expected {_TOML_NAMES.get(kind, kind.__name__)}")
            return default
        return self.of_kind(table[key], join(path, key), kind)

    def of_kind(self, value: object, path: str, kind: type[T]) -> T | None:
        """The value if it is of that kind; else note a fault. A boolean is no integer."""
        if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
            return value
        self.add(path, f"expected {_TOML_NAMES.get(kind, kind.__name__)}, found {describe(value)}")
        return None
