"""Files and strings from outside: JSON is read strictly, and what is recorded is made to fit.

A file that comes by pull request may hold anything, so each of its values has a known form and a bound.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from enum import StrEnum
from re import Pattern
from typing import NoReturn, TypeGuard, TypeVar

from metalock.faults import Faults, few, join
from metalock.parsing import without_crlf

LINE = 200
"""Characters of a string, unless something else is said."""
SHOWN = 3
"""Faults that a message repeats before it counts the rest."""
Choice = TypeVar("Choice", bound=StrEnum)
T = TypeVar("T")


class InvalidFileError(ValueError):
    """A file that does not satisfy its schema; `faults` holds each fault with its path in the file."""

    def __init__(self, *faults: str) -> None:
        super().__init__(few(faults, SHOWN))
        self.faults = faults


def parse_json(data: bytes) -> object:
    """Return the value; raise `InvalidFileError` for what is not JSON or names a key twice.

    Unlike `parsing.parse_json`, it leaves large numbers to the schema, which names their place.
    """
    try:
        value: object = json.loads(
            without_crlf(data.decode()), object_pairs_hook=_object, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as error:
        raise InvalidFileError(f"not JSON: {one_line(str(error))}") from None
    return value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("an object has a key twice")
    return table


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number in JSON")


def one_line(text: str, most: int | None = None) -> str:
    r"""Return the text in one line without control characters, shortened to `most` characters.

    >>> one_line(" a\n  b\x1b[31m"), one_line("abcdef", 4)
    ('a b�[31m', 'abc…')
    """
    line = printable(" ".join(text.split()))
    return line if most is None or len(line) <= most else f"{line[: most - 1].rstrip()}…"


def printable(text: str) -> str:
    """Return the text with its lines and tabs, and without other control characters."""
    if is_text(text):
        return text
    return "".join(char if is_text(char) else "\N{REPLACEMENT CHARACTER}" for char in text)


def is_line(text: str, most: int) -> bool:
    """Return whether the text is one printable line of at most that length."""
    return len(text) <= most and text.isprintable()


def is_number(value: object, least: int, most: int) -> TypeGuard[int | float]:
    """Return whether the value is a number between the bounds; a boolean is none, and neither is NaN."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most


def is_text(text: str) -> bool:
    """Return whether the text is printable but for its lines and tabs."""
    return text.isprintable() or text.replace("\n", " ").replace("\t", " ").isprintable()


class Fields:
    """The fields of one JSON object; each is read once, and its faults are noted with its path.

    A field that is missing or wrong gives an empty value, so that all faults of a file are found in one run.
    """

    def __init__(self, value: object, path: str, faults: Faults, known: Sequence[str]) -> None:
        self._table: dict[str, object] = value if isinstance(value, dict) else {}
        self._is_object = isinstance(value, dict)
        self._path = path
        self._faults = faults
        if not self._is_object:
            faults.add(path or "file", "expected an object")
        for key in self._table:
            if key not in known:
                self.fault(key, "unknown key")

    def __contains__(self, key: str) -> bool:
        return key in self._table

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def fault(self, key: str | int, text: str) -> None:
        """Note a fault of that field."""
        self._faults.add(join(self._path, key), text)

    def line(self, key: str, *, most: int = LINE, pattern: Pattern[str] | None = None) -> str:
        """Return a string of one line, printable, and of the pattern's form."""
        value = self._table.get(key)
        if isinstance(value, str) and is_line(value, most) and (pattern is None or pattern.fullmatch(value)):
            return value
        form = f" of the form {pattern.pattern}" if pattern else ""
        return self._missing(key, f"expected one line of at most {most} printable characters{form}", "")

    def lines(self, key: str, *, most: int) -> str:
        """Return a string of several lines, otherwise printable."""
        value = self._table.get(key)
        if isinstance(value, str) and len(value) <= most and is_text(value):
            return value
        return self._missing(key, f"expected text of at most {most} printable characters", "")

    def one_of(self, key: str, choices: type[Choice]) -> Choice:
        """Return a member of the enumeration."""
        value = self._table.get(key)
        try:
            return choices(str(value))
        except ValueError:
            return self._missing(key, f"expected one of {', '.join(choices)}", next(iter(choices)))

    def whole(self, key: str, least: int, most: int) -> int:
        """Return an integer between the bounds."""
        value = self._table.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        return self._missing(key, f"expected an integer from {least} to {most}", least)

    def number(self, key: str, least: int, most: int) -> float:
        """Return a number between the bounds."""
        value = self._table.get(key)
        if is_number(value, least, most):
            return value
        return self._missing(key, f"expected a number from {least} to {most}", 0.0)

    def flag(self, key: str) -> bool:
        """Return a boolean."""
        value = self._table.get(key)
        return (
            value if isinstance(value, bool) else self._missing(key, "expected true or false", default=False)
        )

    def items(self, key: str, *, most: int) -> list[tuple[str, object]]:
        """Return the items of an array, each with its path."""
        value = self._table.get(key)
        if isinstance(value, list) and len(value) <= most:
            path = join(self._path, key)
            return [(f"{path}[{index}]", item) for index, item in enumerate(value)]
        return self._missing(key, f"expected an array of at most {most} items", [])

    def strings(self, key: str, *, most: int, length: int) -> list[str]:
        """Return an array of strings of one line each."""
        found = []
        for path, item in self.items(key, most=most):
            if isinstance(item, str) and is_line(item, length):
                found.append(item)
            else:
                self._faults.add(path, f"expected one line of at most {length} printable characters")
        return found

    def table(self, key: str, known: Sequence[str]) -> Fields:
        """Return the fields of an object within this one."""
        return Fields(self._table.get(key), join(self._path, key), self._faults, known)

    def mapping(self, key: str, *, most: int) -> dict[str, object]:
        """Return an object whose keys are not known in advance."""
        value = self._table.get(key)
        if isinstance(value, dict) and len(value) <= most:
            return value
        return self._missing(key, f"expected an object of at most {most} fields", {})

    def _missing(self, key: str, expected: str, default: T) -> T:
        if self._is_object:
            self.fault(key, expected if key in self._table else f"missing; {expected}")
        return default
