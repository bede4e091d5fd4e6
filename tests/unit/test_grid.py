"""grid, gridrun and gridtext: releases side by side, with wheels made of plain values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
import pytest
from audit_samples import ENTRY, PLUGIN, facts, flat, links, macho, tensorflow_binaries
from samples import sha256

from metalock.adapters.index import IndexWheel
from metalock.audit import grid_run
from metalock.audit.facts import WheelFacts
from metalock.audit.grid import GridEntry, GridVerdict, Release, compare, pairs, releases
from metalock.audit.grid_run import make_grid
from metalock.audit.gridtext import to_page, to_table
from metalock.commands.audit import show_grid
from metalock.errors import UsageError
from metalock.platforms import Platform
from metalock.progress import Reporter

MAC = Platform.OSX_ARM64
TAG = "cp39-cp39-macosx_12_0_arm64"


def offered(name: str, version: str, tag: str = TAG) -> IndexWheel:
    file = f"{name.replace('-', '_')}-{version}-{tag}.whl"
    return IndexWheel(file=file, url=file, sha256=sha256(file), requires_python=None, yanked=False)


def release(name: str, version: str, *tags: str) -> Release:
    (found,) = releases(name, [offered(name, version, tag) for tag in tags or (TAG,)], MAC)
    return found


def test_releases_are_final_and_in_order() -> None:
    versions = ["2.10.0", "2.9.0", "2.11.0rc1", "2.12.0.dev1", "2.9.0.post1"]
    found = releases("a", [offered("a", version) for version in versions], MAC)
    assert [str(one.version) for one in found] == ["2.9.0", "2.9.0.post1", "2.10.0"]


@pytest.mark.parametrize(
    ("tag", "platform", "pythons"),
    [
        ("cp39-cp39-macosx_12_0_arm64", MAC, {"cp39"}),
        ("cp39-cp39-macosx_26_0_universal2", MAC, {"cp39"}),
        ("cp39-cp39-macosx_12_0_x86_64", MAC, set()),
        ("cp39-cp39-macosx_10_14_x86_64", Platform.OSX_64, {"cp39"}),
        ("cp39-cp39-manylinux_2_17_x86_64.manylinux2014_x86_64", Platform.LINUX_64, {"cp39"}),
        ("cp39-cp39-manylinux2014_aarch64", Platform.LINUX_64, set()),
        ("cp39-cp39-musllinux_1_2_x86_64", Platform.LINUX_64, set()),
        ("cp39-cp39-win_amd64", Platform.LINUX_64, set()),
        ("py2.py3-none-any", MAC, {"py2", "py3"}),
    ],
)
def test_releases_by_platform(tag: str, platform: Platform, pythons: set[str]) -> None:
    (found,) = releases("a", [offered("a", "1.0", tag)], platform)
    assert found.wheels.keys() == pythons


def test_files_that_are_no_wheels_are_left_out() -> None:
    odd = IndexWheel(file="a-1.0.whl", url="", sha256=None, requires_python=None, yanked=False)
    assert releases("a", [odd, offered("a", "one")], MAC) == []


def test_pairs() -> None:
    plugin = release("tensorflow-metal", "1.0.0")
    old, new = release("tensorflow", "2.5.0"), release("tensorflow", "2.13.0")
    macos, nothing = (
        release("tensorflow-macos", "2.6.0"),
        release("tensorflow", "2.7.0", "cp39-cp39-win_amd64"),
    )
    found = list(pairs([old, new, nothing, macos], [plugin]))
    assert [(pair.tensorflow, pair.plugin, pair.python) for pair in found] == [
        (macos, plugin, "cp39"),
        (new, plugin, "cp39"),
    ]


@pytest.mark.parametrize(
    ("pythons", "chosen"),
    [(["310", "39", "311"], "cp39"), (["311", "310"], "cp310"), (["310", "38"], "cp38"), ([], None)],
)
def test_python_that_both_have(pythons: list[str], chosen: str | None) -> None:
    tags = [f"cp{python}-cp{python}-macosx_12_0_arm64" for python in pythons]
    plugin = release("a", "1.0", *tags, "cp37-cp37m-macosx_12_0_arm64")
    tensorflow = release("tensorflow", "2.13.0", *tags, "cp312-cp312-macosx_12_0_arm64")
    (pair,) = pairs([tensorflow], [plugin])
    assert pair.python == chosen
    assert len(pair.wheels_to_read()) == (2 if chosen else 1)


@dataclass
class World:
    """One TensorFlow and one release of a plugin."""

    tensorflow: WheelFacts | None = None
    plugin: WheelFacts | None = None
    plugin_tag: str = TAG
    name: str = "tensorflow-metal"
    entries: list[GridEntry] = field(init=False)

    def __post_init__(self) -> None:
        tags = {"tensorflow": TAG, self.name: self.plugin_tag}
        both = release("tensorflow", "2.13.0", TAG), release(self.name, "1.0.0", self.plugin_tag)
        (pair,) = pairs(both[:1], both[1:])
        known = {
            f"{one.name.replace('-', '_')}-{one.version}-{tags[one.name]}.whl": one
            for one in (self.tensorflow, self.plugin)
            if one is not None
        }
        self.entries = compare(pair, MAC, known)

    @property
    def outcome(self) -> list[tuple[str, GridVerdict, tuple[str, ...]]]:
        return [(entry.library, entry.verdict, entry.missing) for entry in self.entries]


STUB = facts("tensorflow", "2.13.0", paths=["tensorflow-2.13.0.dist-info/METADATA"])
REAL = facts("tensorflow", "2.13.0", binaries=tensorflow_binaries())


def plugin(*wanted: str, name: str = "tensorflow-metal", at: str = PLUGIN) -> WheelFacts:
    return facts(name, "1.0.0", binaries={at: macho(imports=flat(*wanted))})


def test_compare() -> None:
    assert World(REAL, plugin("_TF_NewStatus")).outcome == [(PLUGIN, GridVerdict.LOADS, ())]
    assert World(REAL, plugin("_TF_B", "_TF_A")).outcome == [(PLUGIN, GridVerdict.FAILS, ("_TF_A", "_TF_B"))]
    library = facts("tensorflow-metal", "1.0.0", binaries={PLUGIN: macho(libraries=links("@rpath/a.so"))})
    assert World(REAL, library).outcome == [(PLUGIN, GridVerdict.FAILS, ("@rpath/a.so",))]


def test_stub_has_no_entry() -> None:
    assert World(STUB, plugin("_TF_NewStatus")).outcome == []
    assert World(STUB, plugin_tag="cp37-cp37m-macosx_12_0_arm64").outcome == []


def test_no_wheel() -> None:
    for known in (REAL, None):
        assert World(known, plugin_tag="cp37-cp37m-macosx_12_0_arm64").outcome == [
            ("", GridVerdict.NO_WHEEL, ())
        ]


@pytest.mark.parametrize(
    ("tensorflow", "other"),
    [
        (None, plugin("_TF_NewStatus")),
        (REAL, None),
        (None, None),
        (REAL, facts("tensorflow-metal", "1.0.0")),
        (facts("tensorflow", "2.13.0"), plugin()),
        (REAL, facts("tensorflow-metal", "1.0.0", binaries={PLUGIN: macho()}, unreadable={"x": "cut off"})),
        (REAL, facts("tensorflow-metal", "1.0.0", binaries={PLUGIN: macho()}, foreign={"x": ("x86_64",)})),
    ],
)
def test_unreadable(tensorflow: WheelFacts | None, other: WheelFacts | None) -> None:
    assert World(tensorflow, other).outcome == [("", GridVerdict.UNREADABLE, ())]


def test_unreadable_library() -> None:
    blind = facts("tensorflow-metal", "1.0.0", binaries={PLUGIN: macho(imports=None)})
    assert World(REAL, blind).outcome == [(PLUGIN, GridVerdict.UNREADABLE, ())]
    no_entry = {path: one for path, one in tensorflow_binaries().items() if path != ENTRY}
    assert World(facts("tensorflow", "2.13.0", binaries=no_entry), plugin()).outcome == [
        (PLUGIN, GridVerdict.UNREADABLE, ())
    ]


def test_json_has_these_keys_and_no_others() -> None:
    (entry,) = World(REAL, plugin("_TF_A")).entries
    assert entry.to_dict() == {
        "platform": "osx-arm64",
        "tensorflow": "2.13.0",
        "distribution": "tensorflow",
        "plugin": "tensorflow-metal",
        "version": "1.0.0",
        "library": PLUGIN,
        "verdict": "fails",
        "missing": ["_TF_A"],
    }


# What a person sees.


def entry(tensorflow: str, version: str, verdict: str, *missing: str, library: str = PLUGIN) -> GridEntry:
    return GridEntry(
        platform=MAC,
        tensorflow=tensorflow,
        distribution="tensorflow-macos" if tensorflow == "2.12.0" else "tensorflow",
        plugin="tensorflow-io" if "tensorflow_io" in library else "tensorflow-metal",
        version=version,
        library=library,
        verdict=GridVerdict(verdict),
        missing=missing,
    )


GRID = [
    entry("2.12.0", "1.0.0", "loads"),
    entry("2.12.0", "1.1.0", "fails", "_TF_A", "_TF_B"),
    entry("2.13.0", "1.0.0", "no-wheel", library=""),
    entry("2.13.0", "1.1.0", "unreadable"),
    entry("2.14.0", "1.0.0", "fails", "_TF_A"),
]
TABLE = """\
TensorFlow               1.0.0      1.1.0
2.14.0 tensorflow        1 missing  ?
2.13.0 tensorflow        -          ?
2.12.0 tensorflow-macos  loads      2 missing"""


def test_table() -> None:
    table = to_table(GRID)
    assert [line.rstrip() for line in click.unstyle(table).splitlines()] == TABLE.splitlines()
    assert click.style("loads    ", fg="green") in table
    assert click.style("1 missing", fg="red") in table
    assert click.style("?        ", fg="yellow") in table


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {}])
def test_table_without_colours(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`capsys` is no terminal, so colours are dropped at the door."""
    monkeypatch.setattr("os.environ", environment)
    show(monkeypatch, GRID)
    assert "\x1b" not in capsys.readouterr().out


IO = "tensorflow_io/python/ops/libtensorflow_io.so"
FFMPEG = "tensorflow_io/python/ops/libtensorflow_io_ffmpeg_4.2.so"


def test_parts_that_a_plugin_does_without_are_listed_only() -> None:
    grid = [
        entry("2.13.0", "1.0.0", "loads", library=IO),
        entry("2.13.0", "1.0.0", "fails", "libavcodec.so.58", library=FFMPEG),
    ]
    assert click.unstyle(to_table(grid)).splitlines()[1].split() == ["2.13.0", "tensorflow", "loads"]
    page = to_page(grid, "x")
    assert "libavcodec.so.58" not in page
    assert page.splitlines()[-1].startswith(f"- `{FFMPEG}`, loaded only by the audio and video operations")
    assert page.endswith(": loads with 0 of 1\n")


def test_page_begins_with_the_first_release_that_loads() -> None:
    grid = [entry("2.13.0", "0.9.0", "fails", "_TF_A"), entry("2.13.0", "1.0.0", "loads")]
    page = to_page(grid, "x")
    assert "| TensorFlow | 1.0.0 |" in page
    assert "Older releases load with none of these: 0.9.0." in page


def test_page() -> None:
    page = to_page(GRID, "metalock audit --grid tensorflow-metal")
    head, _, missing = page.partition("\n## What is missing\n\n")
    assert head.startswith(
        "# tensorflow-metal and TensorFlow on osx-arm64\n\nMade by `metalock audit --grid "
    )
    assert head.endswith(
        "| TensorFlow | 1.0.0 | 1.1.0 |\n|---|---|---|\n"
        "| 2.14.0 | 1 missing | ? |\n| 2.13.0 | - | ? |\n| 2.12.0 (tensorflow-macos) | loads | 2 missing |\n"
    )
    assert missing == (
        f"**1.1.0**, `{PLUGIN}`, with TensorFlow 2.12.0:\n\n- `_TF_A`\n- `_TF_B`\n\n"
        f"**1.0.0**, `{PLUGIN}`, with TensorFlow 2.14.0:\n\n- `_TF_A`\n"
    )


def test_page_names_equal_failures_once_and_counts_the_rest() -> None:
    names = [f"_TF_{number:02}" for number in range(15)]
    page = to_page([entry(version, "1.0.0", "fails", *names) for version in ("2.13.0", "2.14.0")], "x")
    assert page.count("with TensorFlow 2.13.0, 2.14.0:") == 1
    assert page.endswith("- `_TF_05`\n- and 9 more\n")


def test_page_does_not_call_the_unreadable_loading() -> None:
    page = to_page([entry("2.13.0", "1.0.0", "unreadable")], "x")
    assert "| 2.13.0 | ? |" in page
    assert page.endswith("\nNothing, in all that could be read.\n")


# The command.


def show(
    monkeypatch: pytest.MonkeyPatch,
    grid: Sequence[GridEntry],
    *,
    as_json: bool = False,
    output: Path | None = None,
) -> int:
    monkeypatch.setattr(grid_run, "make_grid", lambda *_: grid)
    return show_grid("tensorflow-metal", MAC, as_json=as_json, output=output)


def test_command_prints(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert show(monkeypatch, GRID) == 4, "something was not read"
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == TABLE.splitlines()
    assert show(monkeypatch, GRID[:3], as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == [one.to_dict() for one in GRID[:3]]


def test_command_writes_a_page_and_its_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "new" / "tensorflow-metal.osx-arm64.md"
    assert show(monkeypatch, GRID[:2], output=output) == 0
    page = output.read_text(encoding="utf-8")
    assert f"--platform osx-arm64 --output {output.as_posix()}`" in page
    assert show(monkeypatch, GRID[:2], output=output.with_suffix(".json"), as_json=True) == 0
    values = output.with_suffix(".json").read_text(encoding="utf-8")
    assert json.loads(values) == [one.to_dict() for one in GRID[:2]]
    assert values.endswith("]\n")


def test_what_is_no_plugin() -> None:
    with pytest.raises(UsageError, match='did you mean "tensorflow-metal"'):
        make_grid("tensorflow_meta", MAC, Reporter())
    with pytest.raises(UsageError, match="expected one of tensorflow-metal, tensorflow-io, "):
        make_grid("numpy", MAC, Reporter())
