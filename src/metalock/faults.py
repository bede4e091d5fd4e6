"""Typed reading of TOML tables: all faults of a file are collected, each with its path."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from typing import TypeVar

from metalock.parsing import HUGE

T = TypeVar("T")

SHOWN = 60
"""Characters of a string that a message repeats."""
GUESSES = 100
"""Faults up to which an unknown key is compared with the known ones."""
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
STEP = re.compile(r"[.\[]")
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
    """Return how a message names a TOML value: its type, and its text if that is short.

    >>> describe("3.11"), describe([1])
    ('the string "3.11"', 'an array')
    """
    if isinstance(value, str) and len(value) <= SHOWN:
        return f"the string {json.dumps(value)}"
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < HUGE:
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat() if value.tzinfo else "a date-time without offset"
    return _TOML_NAMES.get(type(value), type(value).__name__)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean "python"?`, or an empty string if no known word is similar."""
    near = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.75)
    return f'; did you mean "{near[0]}"?' if near else ""


def few(items: Sequence[str], shown: int) -> str:
    """Return the first items in one line, and the number of the others.

    >>> few(["a", "b", "c"], 2)
    'a; b; and 1 more'
    """
    more = f"; and {len(items) - shown} more" if len(items) > shown else ""
    return "; ".join(items[:shown]) + more


def join(path: str, key: str | int) -> str:
    """Return a TOML path with one more key or index.

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
        """Each once: a value of a stack may be read for several platforms."""
        self._places: set[str] = set()
        """The paths of all faults, and the paths above them."""

    def add(self, path: str, text: str) -> None:
        """Add the fault that `text` describes."""
        self.texts[f"{path}: {text}"] = None
        self._places.update(path[: step.start()] for step in STEP.finditer(path))
        self._places.add(path)

    def within(self, path: str) -> bool:
        """Return whether there is a fault at that path or below it."""
        return path in self._places

    def unknown_keys(self, table: Mapping[str, object], path: str, known: Iterable[str]) -> None:
        """Add a fault for every key of `table` that isn't known."""
        names = list(known)
        for key in table:
            if key not in names:
                guess = did_you_mean(key, names) if len(self.texts) < GUESSES else ""
                expected = guess or f"; expected one of {', '.join(names)}"
                self.add(join(path, key), f"unknown key{expected}")

    def take(
        self, table: Mapping[str, object], path: str, key: str, kind: type[T], default: T | None = None
    ) -> T | None:
        """Return the value of `key` if it has that type, else add a fault; a missing key gives `default`."""
        if key not in table:
            if default is None:
                self.add(join(path, key), f"missing; expected {_TOML_NAMES.get(kind, kind.__name__)}")
            return default
        return self.of_kind(table[key], join(path, key), kind)

    def of_kind(self, value: object, path: str, kind: type[T]) -> T | None:
        """Return the value if it has that type, else add a fault. A boolean is not an integer."""
        if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
            return value
        self.add(path, f"expected {_TOML_NAMES.get(kind, kind.__name__)}, found {describe(value)}")
        return None
