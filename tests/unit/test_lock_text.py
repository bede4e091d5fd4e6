"""lock/text: a lock comes back from its text, and no other text passes for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from samples import cell, conda, lock_of, sha256, wheel

from metalock.lock.text import LockTextError, lock_text, parse_lock
from metalock.platforms import Platform

LOCK = lock_of(cell(), pip={"keras": "3.9.0", "tensorflow": "2.18.1"})
TEXT = lock_text(LOCK)
Edit = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize("name", ["linux-64/tf2.18-py3.11", "osx-arm64/tf2.18-py3.10"])
def test_round_trip(name: str) -> None:
    lock = lock_of(cell(name))
    again = parse_lock(lock_text(lock))
    assert again == lock
    assert lock_text(again) == lock_text(lock)


def test_an_empty_part_is_a_part() -> None:
    lock = lock_of(cell(), pip={})
    assert '"pip": []' in lock_text(lock)
    assert parse_lock(lock_text(lock)) == lock


def test_a_package_is_a_line() -> None:
    lines = TEXT.splitlines()
    assert len(lines) == 1 + 6 + 2 * (2 + 2) + 1
    assert [line for line in lines if '"keras"' in line] == [
        (
            f'  {{"name": "keras", "version": "3.9.0", "file": "{wheel("keras", "3.9.0").file}", '
            f'"sha256": "{wheel("keras", "3.9.0").sha256}", "size": 28}},'
        )
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("3.9.0", "3.9.1"),
        ('"size": 28', '"size": 29'),
        ('"size": 28', '"size": 28.0'),
        ('"size": 28', '"size": true'),
        ('"size": 28', '"size": 28, "url": "https://example.invalid"'),
        ('"size": 28', '"size": 27, "size": 28'),
        ('"glibc": "2.28"', '"glibc": "2.17"'),
        ('"glibc"', '"macos"'),
        ('"schema": 1', '"schema": 2'),
        ('"schema": 1,', '"schema": 1, "note": "mine",'),
        ('"build": "h0_0", "depends"', '"depends": [], "build": "h0_0", "depends"'),
        ('"depends": ["python"], ', ""),
        ("\n", "\r\n"),
        ("\n ", "\n  "),
        ("}\n", "}"),
        (TEXT, f"{TEXT}\n"),
        (TEXT, f"\ufeff{TEXT}"),
        (TEXT, json.dumps(json.loads(TEXT))),
        (TEXT, ""),
        (TEXT, "[]"),
        (TEXT, "null"),
        (TEXT, '"lock"'),
        (TEXT, "[" * 100000),
        (json.loads(TEXT)["digest"], "0" * 64),
        (TEXT, TEXT[: len(TEXT) // 2]),
        (TEXT, f"<<<<<<< ours\n{TEXT}"),
    ],
)
def test_no_other_text_passes(old: str, new: str) -> None:
    assert old in TEXT
    with pytest.raises(LockTextError):
        parse_lock(TEXT.replace(old, new))


def consistent(edit: Edit) -> str:
    """The text after an edit by someone who knows how the digest is made."""
    table = json.loads(TEXT)
    del table["digest"]
    edit(table)
    lines = []
    for key, value in table.items():
        rows = ",\n".join(f"  {json.dumps(row)}" for row in value) if isinstance(value, list) else ""
        lines.append(f' "{key}": ' + (f"[\n{rows}\n ]" if rows else json.dumps(value)))
    rest = ",\n".join(lines) + "\n}\n"
    return f'{{\n "digest": "{sha256(rest)}",\n{rest}'


@pytest.mark.parametrize(
    "edit",
    [
        lambda t: t["pip"].reverse(),
        lambda t: t["conda"].reverse(),
        lambda t: t["pip"].append(t["pip"][-1]),
        lambda t: t.update(schema="1"),
        lambda t: t.pop("pip"),
        lambda t: t.update(platform="win-64"),
        lambda t: t.update(platform="osx-64"),
        lambda t: t.update(python="3.11\n"),
        lambda t: t.update(inputs="0" * 63),
        lambda t: t.update(conda={}),
        lambda t: t.update(pip=["keras"]),
        lambda t: t["pip"][0].update(name="-r"),
        lambda t: t["pip"][0].update(name="a b"),
        lambda t: t["pip"][0].update(name="../x"),
        lambda t: t["pip"][0].update(version="1 --index-url https://example.invalid"),
        lambda t: t["pip"][0].update(version="1\n- pip"),
        lambda t: t["pip"][0].update(file="../../x.whl"),
        lambda t: t["pip"][0].update(sha256="0" * 64 + "\n"),
        lambda t: t["pip"][0].update(size=-1),
        lambda t: t["pip"][0].update(size=True),
        lambda t: t["pip"][0].pop("size"),
        lambda t: t["conda"][0].update(name="x: y"),
        lambda t: t["conda"][0].update(version="1#sha256"),
        lambda t: t["conda"][0].update(build="0'"),
        lambda t: t["conda"][0].update(fn="a/../b.conda"),
        lambda t: t["conda"][0].update(subdir=".."),
        lambda t: t["conda"][0].update(channel="file:///x"),
        lambda t: t["conda"][0].update(channel="https://u:p@example.invalid/x"),
        lambda t: t["conda"][0].update(channel="https://example.invalid/x\nhttps://example.invalid/y"),
        lambda t: t["conda"][0].pop("sha256"),
        lambda t: t["conda"][0].update(depends=[[[["deep"]]]]),
        lambda t: t["pip"][0].update(version="3.9.1"),
        lambda t: t["pip"][0].update(file="keras-3.9.0-py3-none-any.zip"),
        lambda t: t["pip"][0].update(size=10**400),
        lambda t: t["pip"][0].update(name="\ud800"),
        lambda t: t.update(python="3"),
        lambda t: t.update(python="3.11rc1"),
        lambda t: t.update({floor_key: "99999999.1" for floor_key in ("macos", "glibc") if floor_key in t}),
    ],
)
def test_what_no_lock_says_is_refused_with_a_right_digest_too(edit: Edit) -> None:
    with pytest.raises(LockTextError):
        parse_lock(consistent(edit))


@pytest.mark.parametrize(
    "edit",
    [
        lambda t: t["pip"][0].update(version="3.9.1", file="keras-3.9.1-py3-none-any.whl"),
        lambda t: t["pip"][0].update(url="https://example.invalid"),
        lambda t: t["conda"].__setitem__(0, dict(reversed(t["conda"][0].items()))),
    ],
)
def test_a_careful_edit_passes(edit: Edit) -> None:
    """A digest is no signature: a valid lock with a new digest is found by the index's own hashes."""
    text = consistent(edit)
    assert text != TEXT
    assert parse_lock(text).pip_version("keras") in {"3.9.0", "3.9.1"}


def test_consistent_is_the_format() -> None:
    assert consistent(lambda _: None) == TEXT


def test_versions_are_found_by_name() -> None:
    assert LOCK.pip_version("tensorflow") == "2.18.1"
    assert LOCK.pip_version("jax") is None


def test_urls_are_the_channels_own() -> None:
    package = conda("zlib", channel="https://example.invalid/x", subdir="noarch")
    assert package.url == "https://example.invalid/x/noarch/zlib-1.0-h0_0.conda"
    assert Platform(LOCK.platform) is Platform.LINUX_64
