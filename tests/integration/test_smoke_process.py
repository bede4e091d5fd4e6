"""Tests that raise, crash, hang or end their process are results, and the others still run."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from metalock.errors import ToolError
from metalock.evidence.contract import Capability
from metalock.evidence.model import Observation, Observed
from metalock.smoke.process import ProcessSetup, try_together

SUITE = Path(__file__).parents[2] / "src" / "metalock" / "smoke" / "suite"
TESTS = """
import os, signal, subprocess, sys, time
import pytest

@pytest.mark.capability("t.passes")
def test_passes(measure):
    measure("images_per_second", 12.5)

@pytest.mark.capability("t.raises")
def test_raises():
    raise KeyError("gone")

@pytest.mark.capability("t.wrong")
def test_wrong():
    assert 1 == 2, "one is not two"

@pytest.mark.capability("t.skips")
def test_skips():
    pytest.skip("nothing here")

@pytest.mark.capability("t.aborts")
def test_aborts(measure):
    measure("before", 1)
    os.write(2, b"harmless\\n2026 F tensorflow/core/x.cc:1] Check failed: a == b\\nand more\\n")
    os.abort()

@pytest.mark.capability("t.segfaults")
def test_segfaults():
    os.kill(os.getpid(), signal.SIGSEGV)

@pytest.mark.capability("t.exits")
def test_exits():
    os._exit(7)

@pytest.mark.capability("t.hangs")
def test_hangs():
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3); open('alive', 'w')"])
    time.sleep(60)

@pytest.mark.capability("t.device")
@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_device(device):
    assert device == "cpu"

class Cycle:
    def __init__(self, measure):
        self.measure, self.itself = measure, self
    def __del__(self):
        self.measure("freed", True)

@pytest.mark.capability("t.leaves-garbage")
def test_leaves_garbage(measure):
    left = Cycle(measure)

@pytest.mark.capability("t.fails-with-garbage")
def test_fails_with_garbage(measure):
    left = Cycle(measure)
    raise KeyError("gone")

@pytest.mark.capability("t.locked")
def test_locked(locked):
    assert locked == {"numpy": "2.0"}
"""


@pytest.fixture
def place(tmp_path: Path) -> ProcessSetup:
    suite = tmp_path / "suite"
    suite.mkdir()
    for name in ("driver.py", "recorder.py", "suite_fixtures.py", "host.py"):
        shutil.copy(SUITE / name, suite)
    (suite / "test_t.py").write_text(TESTS, encoding="utf-8")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return ProcessSetup(
        python=Path(sys.executable),
        driver=suite / "driver.py",
        tools=tmp_path,
        scratch=scratch,
        environment={"PATH": os.defpath, "METALOCK_LOCKED": '{"numpy": "2.0"}', "PYTHONFAULTHANDLER": "1"},
    )


def attempt(place: ProcessSetup, *names: str, seconds: int = 60) -> dict[str, Observation]:
    found: dict[str, Observation] = {}
    capabilities = [
        Capability(
            name=name.partition("@")[0],
            device=name.partition("@")[2] or None,
            area="t",
            question="q",
            claim="c",
            env={},
            seconds=seconds,
        )
        for name in names
    ]
    try_together(capabilities, place, lambda observation: found.update({observation.name: observation}))
    assert list(found) == list(names)
    return found


def test_each_end_is_a_result_and_the_rest_goes_on(place: ProcessSetup) -> None:
    found = attempt(
        place, "t.raises", "t.aborts", "t.wrong", "t.segfaults", "t.exits", "t.skips", "t.locked", "t.passes"
    )
    assert {name: (one.observed, one.error) for name, one in found.items()} == {
        "t.raises": (Observed.RAISED, "KeyError: 'gone'"),
        "t.aborts": (
            Observed.CRASHED,
            "killed by SIGABRT: 2026 F tensorflow/core/x.cc:1] Check failed: a == b",
        ),
        "t.wrong": (Observed.WRONG, "AssertionError: one is not two"),
        "t.segfaults": (Observed.CRASHED, "killed by SIGSEGV"),
        "t.exits": (Observed.CRASHED, "the process ended with code 7"),
        "t.skips": (Observed.SKIPPED, "nothing here"),
        "t.locked": (Observed.PASSED, ""),
        "t.passes": (Observed.PASSED, ""),
    }
    assert found["t.passes"].values == {"images_per_second": 12.5}
    assert found["t.aborts"].values == {"before": 1}


def test_what_a_test_leaves_behind_goes_within_its_time(place: ProcessSetup) -> None:
    found = attempt(place, "t.leaves-garbage", "t.fails-with-garbage", "t.passes")
    assert found["t.leaves-garbage"].values == found["t.fails-with-garbage"].values == {"freed": True}


def test_a_hang_is_ended_with_all_that_it_started(place: ProcessSetup) -> None:
    began = time.monotonic()
    found = attempt(place, "t.raises", "t.hangs", "t.passes", seconds=1)
    assert time.monotonic() - began < 30
    assert found["t.hangs"].observed is Observed.HUNG
    assert found["t.hangs"].error == "no end within 1 s"
    assert found["t.passes"].observed is Observed.PASSED
    time.sleep(3.2)
    assert not (place.scratch / "alive").exists()


def test_devices_are_distinguished(place: ProcessSetup) -> None:
    found = attempt(place, "t.device@cpu", "t.device@gpu")
    assert [one.observed for one in found.values()] == [Observed.PASSED, Observed.WRONG]


def test_a_suite_that_cant_start_is_an_error_with_its_output(place: ProcessSetup) -> None:
    (place.driver.parent / "recorder.py").write_text("raise RuntimeError('no recorder')\n", encoding="utf-8")
    with pytest.raises(ToolError, match=r"cannot start in this environment[^$]*no recorder"):
        attempt(place, "t.passes")


def test_a_capability_without_a_test_is_an_error(place: ProcessSetup) -> None:
    with pytest.raises(ToolError, match=r"no test for t\.unknown"):
        attempt(place, "t.unknown")


def test_an_interpreter_that_is_not_there_is_an_error(place: ProcessSetup) -> None:
    missing = ProcessSetup(
        **{**{f: getattr(place, f) for f in place.__slots__}, "python": Path("/no/python")}
    )
    with pytest.raises(ToolError, match="can't be started"):
        attempt(missing, "t.passes")
