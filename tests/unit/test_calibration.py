"""What people reported from their machines, compared with the committed grids."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from metalock.audit.reports import known_reports, optional_reason
from metalock.platforms import Platform

FOLDER = Path(__file__).parents[2] / "docs" / "compatibility"
METAL, IO_MAC = "tensorflow-metal.osx-arm64", "tensorflow-io.osx-arm64"
TABLE = "blog.jonghyeon.me, table of 2025-09-11"
NOT_LOADED = "@rpath/_pywrap_tensorflow_internal.so"
LOG_MESSAGE = "__ZN3tsl8internal10LogMessageC1EPKcii"
FINALIZE = "_ZNK10tensorflow4data11DatasetBase8Finalize"
KEYS = ["platform", "tensorflow", "distribution", "plugin", "version", "library", "verdict", "missing"]


class Fails(NamedTuple):
    """The loader refused: the symbol or library that it named, which may be cut off at its end."""

    grid: str
    tensorflow: str
    version: str
    named: str
    source: str


class Loads(NamedTuple):
    """It was imported; what happened then is another matter."""

    grid: str
    tensorflow: str
    version: str
    source: str


FAILURES = [
    Fails(METAL, "2.21.0", "1.2.0", NOT_LOADED, "tensorflow#126374"),
    Fails(METAL, "2.21.0", "1.2.0", "_TF_GetInputByName", "tensorflow#126374"),
    Fails(METAL, "2.20.0", "1.2.0", NOT_LOADED, TABLE),
    Fails(METAL, "2.20.0", "1.1.0", NOT_LOADED, TABLE),
    Fails(METAL, "2.19.0", "1.1.0", LOG_MESSAGE, TABLE),
    Fails(METAL, "2.18.0", "1.1.0", LOG_MESSAGE, "tensorflow#84167, tensorflow#81987"),
    Fails(METAL, "2.11.0", "0.8.0", "_TF_GetInputPropertiesList", TABLE),
    Fails(METAL, "2.10.0", "0.7.0", "__ZN3tsl8internal10LogMessage16VmoduleActivatedEPKci", TABLE),
    Fails(
        IO_MAC, "2.18.0", "0.37.1", "__ZN10tensorflow6tensor6ConcatERKN4absl12lts_202308024Span", "io#2137"
    ),
]
SUCCESSES = [
    *(
        Loads(METAL, tensorflow, version, TABLE)
        for tensorflow, version in (
            ("2.19.0", "1.2.0"),
            ("2.18.0", "1.2.0"),
            ("2.18.1", "1.2.0"),
            ("2.17.0", "1.1.0"),
            ("2.17.0", "1.2.0"),
            ("2.16.1", "1.1.0"),
            ("2.16.2", "1.2.0"),
            ("2.15.0", "1.1.0"),
            ("2.14.0", "1.1.0"),
            ("2.13.0", "1.1.0"),
            ("2.13.0", "1.0.0"),
            ("2.12.0", "1.0.0"),
            ("2.12.0", "0.8.0"),
            ("2.10.0", "0.6.0"),
            ("2.9.0", "0.5.0"),
        )
    ),
    # These load, and fail or crash when they are used.
    Loads(METAL, "2.11.0", "0.7.0", "tensorflow#58988"),
    Loads(METAL, "2.9.0", "0.6.0", TABLE),
]
DECLARED = [
    # The TensorFlow that `tensorflow-io[tensorflow]` asks for.
    (IO_MAC, "2.13.0", "0.34.0"),
    (IO_MAC, "2.15.0", "0.36.0"),
    (IO_MAC, "2.16.1", "0.37.1"),
]


def path_of(grid: str) -> Path:
    return FOLDER / f"{grid}.json"


@cache
def entries_of(grid: str) -> list[dict[str, Any]]:
    path = path_of(grid)
    table = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(table, list)
    return table


def required(grid: str, tensorflow: str, version: str) -> dict[str, dict[str, Any]]:
    """Library to its entry, for those that the plugin can't do without."""
    return {
        entry["library"]: entry
        for entry in entries_of(grid)
        if (entry["tensorflow"], entry["version"]) == (tensorflow, version)
        and optional_reason(entry["plugin"], entry["library"]) is None
    }


@pytest.mark.parametrize("report", FAILURES, ids=lambda report: " ".join(report[:3]))
def test_reported_failures_are_found(report: Fails) -> None:
    found = required(*report[:3])
    assert "fails" in {entry["verdict"] for entry in found.values()}
    missing = [name for entry in found.values() for name in entry["missing"]]
    assert any(name.startswith(report.named) for name in missing), report.source


@pytest.mark.parametrize("report", SUCCESSES, ids=lambda report: " ".join(report[:3]))
def test_what_is_reported_to_load_is_said_to_load(report: Loads) -> None:
    found = required(*report[:3])
    assert {entry["verdict"] for entry in found.values()} == {"loads"}, report.source


@pytest.mark.parametrize(("grid", "tensorflow", "version"), DECLARED)
def test_what_a_plugin_declares_loads(grid: str, tensorflow: str, version: str) -> None:
    found = required(grid, tensorflow, version)
    assert {entry["verdict"] for entry in found.values()} == {"loads"}


@pytest.mark.parametrize(
    ("grid", "version", "count", "named"),
    [
        (METAL, "0.5.0", 9, "__ZN10tensorflow8internal10LogMessage"),
        (
            METAL,
            "0.8.0",
            2,
            "__ZN10tensorflow16TensorShapeProto",
        ),  # exported, but not by the library it names
        (METAL, "1.1.0", 0, ""),
        (METAL, "1.2.0", 0, ""),
        (IO_MAC, "0.34.0", 3, f"_{FINALIZE}"),
        (IO_MAC, "0.36.0", 0, ""),
        (IO_MAC, "0.37.1", 16, "__ZN10tensorflow6tensor6ConcatERKN4absl12lts_20230802"),
    ],
)
def test_numbers_counted_by_another_reader(grid: str, version: str, count: int, named: str) -> None:
    """With TensorFlow 2.15.0, counted with lief."""
    missing = {name for entry in required(grid, "2.15.0", version).values() for name in entry["missing"]}
    assert len(missing) == count
    assert not count or any(name.startswith(named) for name in missing)


def test_loading_and_wrong_is_reported() -> None:
    """What no binary shows is data: whoever locks one of these is warned."""
    for tensorflow, version in (("2.11.0", "0.7.0"), ("2.9.0", "0.6.0")):
        assert any(known.concerns(Platform.OSX_ARM64, tensorflow, version) for known in known_reports())


@pytest.mark.parametrize("grid", [METAL, IO_MAC])
def test_committed_grids_are_whole(grid: str) -> None:
    entries = entries_of(grid)
    assert all(list(entry) == KEYS for entry in entries)
    assert {entry["verdict"] for entry in entries} == {"loads", "fails", "no-wheel"}, "nothing was unreadable"
    assert all(bool(entry["missing"]) == (entry["verdict"] == "fails") for entry in entries)
    assert path_of(grid).with_suffix(".md").read_text(encoding="utf-8").startswith("# ")
