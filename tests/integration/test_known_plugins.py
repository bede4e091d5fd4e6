"""What our own readers find out about plugins with one TensorFlow, compared with what is known."""

from __future__ import annotations

from functools import cache

import pytest

from integration.wheels import GCS, IO, METAL, TENSORFLOW_MAC, Wheel, members, read_member
from metalock.binaries import Binary, Import, Lookup

pytestmark = pytest.mark.network

PROVIDERS = (
    "libtensorflow_cc.2.dylib",
    "libtensorflow_framework.2.dylib",
    "_pywrap_tensorflow_internal.so",
)
# Symbols that a plugin looks up everywhere and that the system has.
SYSTEM = {"_iconv", "_iconv_close", "_iconv_open", "_objc_msgSend"}


@cache
def tensorflow() -> dict[str, Binary]:
    path = TENSORFLOW_MAC.fetch()
    return {
        name.rpartition("/")[2]: read_member(path, name, imports=False)
        for name in members(path)
        if name.endswith(PROVIDERS)
    }


@cache
def plugin(wheel: Wheel) -> Binary:
    path = wheel.fetch()
    (name,) = [
        one
        for one in members(path)
        if one.endswith(("metal_plugin.dylib", "tensorflow_io.so", "filesystem.so"))
    ]
    return read_member(path, name, imports=True)


def imports_of(wheel: Wheel) -> list[Import]:
    return [one for one in plugin(wheel).imports or () if not one.weak]


def missing_anywhere(wheel: Wheel) -> set[str]:
    """Name the flat imports that no library of TensorFlow offers."""
    return {
        one.name
        for one in imports_of(wheel)
        if one.lookup is Lookup.FLAT
        and not any(other.exports.provides(one) for other in tensorflow().values())
    } - SYSTEM


def missing_where_expected(wheel: Wheel) -> set[str]:
    """Name the two-level imports that the named library of TensorFlow does not offer."""
    return {
        one.name
        for one in imports_of(wheel)
        if one.library
        and one.library.startswith("@rpath/")
        and not tensorflow()[one.library.rpartition("/")[2]].exports.provides(one)
    }


def test_number_of_exports() -> None:
    found = {name: {one.name for one in lib.exports} for name, lib in tensorflow().items()}
    assert {name: len(one) for name, one in found.items()} == {
        "libtensorflow_cc.2.dylib": 244_546,
        "libtensorflow_framework.2.dylib": 33_919,
        "_pywrap_tensorflow_internal.so": 1_511,
    }
    assert len(set.union(*found.values())) == 273_383


def test_reexports_lead_to_a_symbol() -> None:
    libraries = tensorflow()
    sources = [one.source for one in libraries[PROVIDERS[2]].exports if one.source]
    assert len(sources) == 451
    named = [one for one in sources if one.library]
    assert len(named) == 449
    assert all(libraries[str(one.library).rpartition("/")[2]].exports.provides(one) for one in named)


@pytest.mark.parametrize(
    ("wheel", "missing"),
    [
        (METAL["0.5.0"], 9),
        (METAL["0.8.0"], 0),
        (METAL["1.0.0"], 0),
        (METAL["1.1.0"], 0),
        (METAL["1.2.0"], 0),
        (IO["0.34.0"], 3),
        (IO["0.36.0"], 0),
        (IO["0.37.1"], 16),
        (GCS["0.34.0"], 0),
        (GCS["0.36.0"], 0),
        (GCS["0.37.1"], 0),
    ],
    ids=lambda one: f"{one.package}-{one.version}" if isinstance(one, Wheel) else str(one),
)
def test_symbols_missing_in_2_15_0(wheel: Wheel, missing: int) -> None:
    assert len(missing_anywhere(wheel)) == missing


@pytest.mark.parametrize(
    ("version", "missing"),
    [
        ("0.5.0", set()),
        # in TensorFlow, but not in the library that the plugin names
        *(
            (
                version,
                {
                    "__ZN10tensorflow16TensorShapeProtoC1ERKS0_",
                    "__ZN10tensorflow16TensorShapeProtoD1Ev",
                },
            )
            for version in ("0.8.0", "1.0.0")
        ),
        ("1.1.0", set()),
        ("1.2.0", set()),
    ],
)
def test_symbols_missing_where_they_are_looked_for(version: str, missing: set[str]) -> None:
    assert missing_where_expected(METAL[version]) == missing


@pytest.mark.parametrize(
    ("wheel", "floor"),
    [
        (METAL["0.5.0"], (12, 3, 0)),
        (METAL["0.8.0"], (11, 3, 0)),
        (METAL["1.1.0"], (11, 3, 0)),
        (METAL["1.2.0"], (12, 1, 0)),
        (IO["0.34.0"], (11, 0, 0)),
        (IO["0.36.0"], (13, 3, 0)),
        (IO["0.37.1"], (14, 0, 0)),
    ],
    ids=lambda one: f"{one.package}-{one.version}" if isinstance(one, Wheel) else str(one),
)
def test_floor_is_not_the_tag(wheel: Wheel, floor: tuple[int, ...]) -> None:
    assert plugin(wheel).floor == floor
