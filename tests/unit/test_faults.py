"""matrix/fields: how values and paths are named, and faults are gathered."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest

from metalock.faults import Faults, describe, did_you_mean, join


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("3.11", 'the string "3.11"'),
        ('a"b\n', 'the string "a\\"b\\n"'),
        ("conda-f\u043erge", 'the string "conda-f\\u043erge"'),
        ("x" * 60, f'the string "{"x" * 60}"'),
        ("x" * 61, "a string"),
        (3, "3"),
        (-1.5, "-1.5"),
        (float("nan"), "a float"),
        (2**63, "an integer"),
        (True, "a boolean"),
        ([1], "an array"),
        ({}, "a table"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (datetime(2026, 1, 2), "a date-time without offset"),  # noqa: DTZ001 - this is the point
        (date(2026, 1, 2), "a date"),
        (time(1, 2), "a time"),
    ],
)
def test_describe(value: object, text: str) -> None:
    assert describe(value) == text


@pytest.mark.parametrize(
    ("path", "key", "joined"),
    [
        ("", "stack", "stack"),
        ("stack", "tf2.18", 'stack."tf2.18"'),
        ("channels", 0, "channels[0]"),
        ("stack", "", 'stack.""'),
        ("stack", 'a"b', 'stack."a\\"b"'),
        ("stack", "a\nb", 'stack."a\\nb"'),
        ("stack", "x" * 61, f'stack."{"x" * 60}..."'),
    ],
)
def test_join(path: str, key: str | int, joined: str) -> None:
    assert join(path, key) == joined


def test_did_you_mean() -> None:
    assert did_you_mean("Pyhton", ["python", "keras"]) == '; did you mean "python"?'
    assert did_you_mean("zzz", ["python", "keras"]) == ""
    assert did_you_mean("ab", {"abd", "abc"}) == did_you_mean("ab", {"abc", "abd"})


def test_take_tells_missing_from_wrong() -> None:
    faults = Faults()
    assert faults.take({"a": True}, "t", "a", int) is None
    assert faults.take({}, "t", "b", str) is None
    assert faults.take({}, "t", "c", str, "default") == "default"
    assert list(faults.texts) == [
        "t.a: expected an integer, found a boolean",
        "t.b: missing; expected a string",
    ]


def test_within_knows_borders() -> None:
    faults = Faults()
    faults.add("stack.ab.python[0]", "x")
    assert faults.within("stack")
    assert faults.within("stack.ab.python")
    assert not faults.within("stack.a")
