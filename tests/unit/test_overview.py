"""listing: questions, their answers in order, and the forms that these are shown in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from samples import HEAD, all_cells, cell

from metalock.audit.result import Verdict
from metalock.audit.store import AuditStatus
from metalock.evidence.model import Evidence, Outcome
from metalock.evidence.store import Trial
from metalock.matrix.model import Requirement
from metalock.overview.query import (
    EnvStatus,
    Filter,
    Tier,
    ask,
    newness,
    reasons,
    short,
    to_json,
    to_rows,
    to_text,
)
from metalock.overview.readme import BEGIN, END, has_table, to_markdown, with_table
from metalock.platforms import Platform

TEXT = (
    HEAD
    + """\
[platform.linux-64]
glibc = "2.28"
default = "new-py3.10"
[platform.osx-arm64]
macos = "12.0"
default = "new-py3.10"
[stack."old"]
python = ["3.8", "3.10"]
tensorflow = "2.9.3"
keras = "2.9.*"
tensorflow-io = { version = ">1", unavailable = "None | <!-- /metalock:table -->" }
[stack."old".osx-arm64]
tensorflow-macos = [
  { python = "<3.10", version = "2.9.0", unavailable = "Needs jax." },
  { python = "*", version = "2.9.0" },
]
macos = "13.0"
[stack."new"]
python = ["3.10"]
tensorflow = "2.18.1"
[stack."new".osx-arm64]
tensorflow-metal = "1.2.0"
[stack."gone"]
python = ["3.10"]
tensorflow = "2.10"
[stack."gone".osx-arm64]
unavailable = "No wheel."
"""
)
CELLS = all_cells(TEXT)


AUDITED = AuditStatus(verdict=Verdict.LOADS, warnings=1)
ON_LINUX = Trial(
    platform=Platform.LINUX_64,
    evidence=Evidence(lock="", date="2026-11-20", backend="venv", host={}, observations=()),
    counts={Outcome.WORKS: 1},
)


def known(trial: Trial, tier: Tier | None = Tier.AUDITED) -> EnvStatus:
    return EnvStatus(tier=tier, audit=AUDITED, trial=trial)


@pytest.mark.parametrize(
    ("question", "names"),
    [
        (
            Filter(),
            (
                "osx-arm64/new-py3.10 linux-64/new-py3.10 osx-arm64/gone-py3.10 linux-64/gone-py3.10 "
                "linux-64/old-py3.10 linux-64/old-py3.8 osx-arm64/old-py3.10 osx-arm64/old-py3.8"
            ),
        ),
        (Filter(platforms=(Platform.OSX_ARM64,), pythons=("3.8",)), "osx-arm64/old-py3.8"),
        (Filter(needs=("tensorflow-metal",)), "osx-arm64/new-py3.10"),
        (Filter(needs=("keras", "tensorflow-io")), ""),
        (Filter(needs=("tensorflow-macos",)), "osx-arm64/old-py3.10"),
        (
            Filter(needs=("tensorflow",), platforms=(Platform.OSX_ARM64,)),
            "osx-arm64/new-py3.10 osx-arm64/old-py3.10",
        ),
        (Filter(macos="12.6"), "osx-arm64/new-py3.10"),
        (Filter(macos="11"), ""),
        (Filter(glibc="2.28", pythons=("3.8",)), "linux-64/old-py3.8"),
        (Filter(glibc="2.27"), ""),
        (Filter(macos="13", glibc="2.28", pythons=("3.8",)), "linux-64/old-py3.8"),
        (Filter(platforms=(Platform.LINUX_64,), macos="14"), ""),
    ],
)
def test_ask(question: Filter, names: str) -> None:
    assert " ".join(c.name for c in ask(CELLS, question)) == names


@pytest.mark.parametrize(
    ("specifier", "version"),
    [
        ("2.18.1", "2.18.1"),
        ("2.18.*", "2.18"),
        ("2.18.0.post20240101", "2.18.0.post20240101"),
        (">=2.18,<3,!=2.99", "2.18"),
        ("~=2.18.0", "2.18.0"),
        ("<2.18", "0"),
        ("*", "0"),
    ],
)
def test_newness(specifier: str, version: str) -> None:
    of = cell("linux-64/new-py3.10", TEXT.replace('"2.18.1"', f'"{specifier}"'))
    assert str(newness(of)[0]) == version


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (None, "-"),
        (Requirement(name="x", specifier="==2.18.1"), "2.18.1"),
        (Requirement(name="x", specifier=""), "any"),
        (Requirement(name="x", specifier=">1"), ">1"),
        (Requirement(name="x", specifier="<2,>=1"), ">=1,<2"),
        (Requirement(name="x", specifier="==1", unavailable="No."), "none"),
    ],
)
def test_short(column: Requirement | None, text: str) -> None:
    assert short(column) == text


def test_rows() -> None:
    answer = ask(CELLS, Filter(platforms=(Platform.OSX_ARM64,)))
    found = {
        "osx-arm64/new-py3.10": known(Trial(platform=Platform.OSX_ARM64)),
        "osx-arm64/old-py3.10": known(Trial(platform=Platform.OSX_ARM64, is_stale=True), None),
    }
    rows = to_rows(answer, ["current", "-", "stale", "-"], found)
    tried = "loads, 1 warning; not tried on a Mac"
    assert rows[1:] == [
        ("new-py3.10 *", "osx-arm64", "2.18.1", "1.2.0", "-", "-", "-", "macOS 12.0+", tried),
        ("gone-py3.10", "osx-arm64", "2.10", "-", "-", "-", "-", "-", "unavailable"),
        (
            *("old-py3.10", "osx-arm64", "2.9.0 (macos)", "-", "none", "2.9.*", "-"),
            "macOS 13.0+",
            "lock stale",
        ),
        ("old-py3.8", "osx-arm64", "2.9.0 (macos)", "-", "-", "-", "-", "-", "unavailable"),
    ]
    assert to_rows(answer[:1], ["edited"], found)[1][-1] == f"lock edited; {tried}"
    assert to_rows(answer[:1], ["missing"], {})[1][-1] == "lock missing"
    stale = AuditStatus(is_stale=True, has_old_rules=True)
    found = {answer[0].name: replace(found[answer[0].name], audit=stale)}
    words = "audit stale: made by other rules; not tried on a Mac"
    assert to_rows(answer[:1], ["current"], found)[1][-1] == words
    lines = to_text(rows).splitlines()
    assert {line.index("osx-arm64") for line in lines[1:]} == {lines[0].index("platform")}
    assert not any(line.endswith(" ") for line in lines)


def test_a_reason_is_printed_once_for_several_pythons() -> None:
    reported = reasons([c for c in CELLS if c.platform is Platform.LINUX_64])
    assert reported == ["old linux-64, tensorflow-io on Python 3.8, 3.10: None | <!-- /metalock:table -->"]
    assert reasons(ask(CELLS, Filter(platforms=(Platform.OSX_ARM64,), pythons=("3.8",)))) == [
        "old osx-arm64, tensorflow-macos on Python 3.8: Needs jax."
    ]


def test_json() -> None:
    assert to_json(cell("osx-arm64/old-py3.8", TEXT), "-", None) == {
        "env": "old-py3.8",
        "platform": "osx-arm64",
        "stack": "old",
        "python": "3.8",
        "floor": {"macos": "13.0"},
        "default": False,
        "unavailable": "Needs jax.",
        "lock": "-",
        "tier": None,
        "audit": None,
        "smoke": None,
        "columns": {
            "tensorflow-macos": {"specifier": "==2.9.0", "unavailable": "Needs jax."},
            "keras": {"specifier": "==2.9.*", "unavailable": None},
            "tensorflow-io": {"specifier": ">1", "unavailable": "None | <!-- /metalock:table -->"},
        },
    }


def test_markdown() -> None:
    lines = to_markdown(CELLS, {}).splitlines()
    assert [line.count("|") - line.count("\\|") for line in lines] == [6] * 5
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| **new**", "| **gone**", "| **old**"]
    assert "unavailable: No wheel." in lines[3]
    assert "Python 3.8 unavailable: Needs jax." in lines[4]
    assert "Python 3.8, 3.10" in lines[4], "a gap is no span"
    assert "no TF I/O" in lines[4]


def test_markdown_says_what_vouches() -> None:
    found = {
        "linux-64/old-py3.10": known(ON_LINUX),
        "linux-64/old-py3.8": known(Trial(platform=Platform.LINUX_64)),
    }
    text = to_markdown(CELLS, {**found, "osx-arm64/new-py3.10": known(Trial(platform=Platform.OSX_ARM64))})
    assert "<br>audit: loads<br>smoke: 1 not tried, 1 works on Linux |" in text
    assert "<br>audit: loads<br>smoke: not tried on a Mac |" in text


def test_a_stack_that_a_platform_lacks_is_not_offered() -> None:
    cells = [c for c in CELLS if c.name != "osx-arm64/new-py3.10"]
    assert "| not offered |" in to_markdown(cells, {})


def test_the_table_is_written_between_its_markers_and_nowhere_else() -> None:
    document = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    written = with_table(document, CELLS, {})
    assert written.startswith(f"before\n{BEGIN}\n\n| stack |")
    assert written.endswith(f"|\n\n{END}\nafter\n")
    assert with_table(written, CELLS, {}) == written
    assert has_table(written)


@pytest.mark.parametrize("text", ["", BEGIN, f"{END}\n{BEGIN}\n"])
def test_no_place_for_a_table(text: str) -> None:
    assert not has_table(text)
    assert with_table(text, CELLS, {}) == text


def test_no_reason_ends_the_table() -> None:
    cells = all_cells(TEXT.replace('"No wheel."', '"<!-- /metalock:table --> | x"'))
    written = with_table(f"{BEGIN}\n{END}\n", cells, {})
    assert written.count(END) == 1
    assert "&lt;!-- /metalock:table --> \\| x" in written
