"""What holds for every matrix and every lock, whatever is in them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from samples import MATRIX, all_cells, cell, conda, lock_of

from metalock.errors import MatrixError
from metalock.faults import Faults, join
from metalock.lock.model import cell_inputs
from metalock.lock.text import LockTextError, lock_text, parse_lock
from metalock.matrix.model import COLUMNS
from metalock.matrix.values import normal_specifier, read_specifier
from metalock.platforms import Platform

SAFE_NAME = re.compile(r"(?:osx-arm64|osx-64|linux-64)/[a-z0-9]+(?:[._-][a-z0-9]+)*-py3\.[0-9]{1,2}")
KEYS = [
    *("schema", "channels", "exclude-newer", "packages", "platform", "stack", "conda", "pip", "from-conda"),
    *("default", "macos", "glibc", "python", "version", "unavailable", "watch", "variables", "tf2.18"),
    *(*COLUMNS, *Platform),
]
FLOORS = {"osx-arm64": ("macos", "12.0"), "osx-64": ("macos", "10.15"), "linux-64": ("glibc", "2.28")}

versions = st.from_regex(r"[0-9]{1,2}\.[0-9]{1,2}(\.[0-9]{1,2})?", fullmatch=True)
clauses = st.builds("{}{}".format, st.sampled_from(["==", ">=", "<", "!=", "~=", ">", "<="]), versions)
specifiers = (
    versions
    | versions.map("{}.*".format)
    | st.lists(clauses, min_size=1, max_size=3).map(", ".join)
    | st.just("*")
)
names = st.from_regex(r"[a-z0-9]{1,6}([._-][a-z0-9]{1,6}){0,2}", fullmatch=True)
pythons = st.lists(st.integers(8, 14).map("3.{}".format), min_size=1, max_size=4, unique=True)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | specifiers


def toml(value: object) -> str:
    """An inline value of TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(str(k))} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    if isinstance(value, str):
        return '"' + "".join(c if c.isalnum() and c.isascii() else f"\\U{ord(c):08x}" for c in value) + '"'
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, float)) else "2026-08-21T00:00:00Z"


def document(table: dict[str, Any]) -> str:
    return "".join(f"{toml(key)} = {toml(value)}\n" for key, value in table.items())


trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=25,
)


@st.composite
def matrices(draw: st.DrawFn) -> dict[str, Any]:
    """A right `matrix.toml`, as tables."""
    platforms = draw(st.lists(st.sampled_from(sorted(FLOORS)), min_size=1, max_size=3, unique=True))
    stacks: dict[str, Any] = {}
    for name in draw(st.lists(names, min_size=1, max_size=4, unique=True)):
        stack: dict[str, Any] = {
            "python": draw(pythons),
            "tensorflow": draw(specifiers),
        }
        for column in draw(st.lists(st.sampled_from(COLUMNS[2:]), max_size=3, unique=True)):
            stack[column] = draw(specifiers | specifiers.map(lambda s: {"version": s, "unavailable": "No."}))
        for platform in draw(st.lists(st.sampled_from(platforms), max_size=2, unique=True)):
            stack[platform] = draw(
                st.just({"tensorflow-macos": "2.9"}) | pythons.map(lambda found: {"python": found})
            )
        stacks[name] = stack
    first, stack = next(iter(stacks.items()))
    defaults = {p: f"{first}-py{stack.get(p, {}).get('python', stack['python'])[0]}" for p in platforms}
    return {
        "schema": 1,
        "channels": draw(st.lists(names, min_size=1, max_size=2, unique=True)),
        "exclude-newer": None,
        "packages": {
            "pip": draw(
                st.dictionaries(st.from_regex(r"x[a-z]{1,5}", fullmatch=True), specifiers, max_size=2)
            )
        },
        "platform": {p: {FLOORS[p][0]: FLOORS[p][1], "default": defaults[p]} for p in platforms},
        "stack": stacks,
    }


def faults_or_none(text: str) -> tuple[str, ...] | None:
    """Of the file, or None for a right one, which then expands too."""
    try:
        all_cells(text)
    except MatrixError as error:
        return error.faults
    return None


def inputs(text: str) -> dict[str, str]:
    return {c.name: cell_inputs(c) for c in all_cells(text)}


@given(st.text())
def test_any_text_is_a_matrix_or_a_matrix_error(text: str) -> None:
    assert faults_or_none(text) != ()


@given(st.dictionaries(st.sampled_from(KEYS), trees, max_size=6))
def test_any_tables_are_a_matrix_or_a_matrix_error(table: dict[str, Any]) -> None:
    faults = faults_or_none(document(table))
    assert faults is None or (faults and all(fault.isprintable() for fault in faults))


@given(matrices(), trees, st.data())
def test_a_right_matrix_with_one_wrong_value(
    table: dict[str, Any], wrong: object, data: st.DataObject
) -> None:
    place = table
    while isinstance(inner := place[key := data.draw(st.sampled_from(sorted(place)))], dict) and inner:
        if data.draw(st.booleans()):
            break
        place = inner
    place[key] = wrong
    assert faults_or_none(document(table)) != ()


@given(matrices())
def test_a_matrix_expands_to_its_cells(table: dict[str, Any]) -> None:
    cells = all_cells(document(table))
    expected = {
        f"{platform}/{name}-py{python}"
        for name, stack in table["stack"].items()
        for platform in table["platform"]
        for python in stack.get(platform, {}).get("python", stack["python"])
    }
    assert len(cells) == len(expected)
    assert {c.name for c in cells} == expected
    assert all(SAFE_NAME.fullmatch(c.name) for c in cells)
    assert sum(c.is_default for c in cells) == len(table["platform"])


@given(matrices(), st.randoms(use_true_random=False))
def test_inputs_know_no_order_of_keys_no_comments_and_no_spaces(table: dict[str, Any], random: Any) -> None:
    def shuffled(value: object) -> object:
        if not isinstance(value, dict):
            return value
        keys = list(value)
        random.shuffle(keys)
        return {key: shuffled(value[key]) for key in keys}

    again = shuffled(table)
    assert isinstance(again, dict)
    text = "# a comment\n" + document(again).replace("\n", "   # and another\n\n").replace(" = ", "=")
    assert inputs(text) == inputs(document(table))


@given(matrices(), st.data())
def test_a_change_of_one_stack_moves_its_cells_alone(table: dict[str, Any], data: st.DataObject) -> None:
    before = inputs(document(table))
    name = data.draw(st.sampled_from(sorted(table["stack"])))
    table["stack"][name]["packages"] = {"added": "*"}
    after = inputs(document(table))
    assert after.keys() == before.keys()
    changed = {cell_name for cell_name in after if after[cell_name] != before[cell_name]}
    assert changed == {n for n in after if n.split("/")[1].rpartition("-py")[0] == name}


@given(specifiers)
def test_a_normal_specifier_stays_and_means_the_same(text: str) -> None:
    once = normal_specifier(text)
    assert normal_specifier(once or "*") == once
    plain = text.removesuffix(".*").replace(".", "").isdigit()
    assert SpecifierSet(once) == SpecifierSet("" if text == "*" else f"=={text}" if plain else text)


@given(st.text())
def test_a_specifier_is_safe_or_refused(text: str) -> None:
    found = read_specifier(Faults(), text, "x")
    assert found is None or re.fullmatch(r"[0-9A-Za-z.,*+!<>=~_-]*", found)


@given(st.text())
def test_a_path_is_one_printable_line(key: str) -> None:
    assert join("stack", key).isprintable()
    assert join("stack", key).isascii()


@given(st.lists(names, max_size=6, unique=True), st.data())
def test_a_lock_comes_back_from_its_text(found: list[str], data: st.DataObject) -> None:
    packages = [conda(n, depends=data.draw(st.lists(st.sampled_from(found), max_size=3))) for n in found]
    of = cell(data.draw(st.sampled_from([c.name for c in all_cells(MATRIX)])))
    lock = lock_of(of, packages, dict.fromkeys(found, "1.0"))
    text = lock_text(lock)
    assert parse_lock(text) == lock
    assert json.loads(text)["inputs"] == cell_inputs(of)
    assert {p.name for p in lock.conda_in_link_order()} == set(found)


@given(st.integers(min_value=0), st.characters(codec="utf-8"))
def test_a_lock_with_any_character_changed_is_no_lock(at: int, character: str) -> None:
    text = lock_text(lock_of(cell()))
    at %= len(text)
    changed = text[:at] + character + text[at + 1 :]
    try:
        parse_lock(changed)
    except LockTextError:
        return
    assert changed == text


@given(st.text())
def test_no_text_is_a_lock_by_chance(text: str) -> None:
    with pytest.raises(LockTextError):
        parse_lock(text)
