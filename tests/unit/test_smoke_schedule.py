"""Groups at the same time: their order, what is not available, and an end that ends both."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from samples import cell, lock_of

from metalock.adapters.settings import Settings
from metalock.errors import ToolError
from metalock.evidence.contract import Capability
from metalock.evidence.model import Observation, Observed
from metalock.smoke import schedule as runs
from metalock.smoke import setup as place_module
from metalock.smoke.process import ProcessSetup
from metalock.smoke.schedule import Runs
from metalock.smoke.setup import SmokeRequest

Try = Callable[[Capability, ProcessSetup], None]


def capability(name: str, service: str = "") -> Capability:
    scenario = name.partition("after-")[2]
    return Capability(
        name=name, area="a", question="q", claim="c", env={}, service=service, scenario=scenario
    )


class Suite:
    """Replaces the processes: each group passes, after what the test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.reported: list[Observation] = []
        self.scratches: list[str] = []
        self.act: Try = lambda _capability, _place: None
        monkeypatch.setattr(runs, "try_together", self.try_together)
        monkeypatch.setattr(runs, "equipped", self.equipped)
        self.ahead: list[bool] = []
        """Whether it was still of use, each time that bytecode was to be compiled ahead."""
        monkeypatch.setattr(runs, "compile_ahead", lambda _place, unneeded: self.ahead.append(not unneeded()))
        self.made: list[str] = []
        self.failing = ""
        self.all_made = threading.Event()
        monkeypatch.setattr(place_module, "make_scenario", self.make_scenario)
        self.place = ProcessSetup(
            python=Path("python"),
            driver=Path("driver"),
            tools=Path("tools"),
            scratch=tmp_path,
            environment={},
        )

    def try_together(
        self, group: list[Capability], place: ProcessSetup, report: Callable[[Observation], None]
    ) -> list[str] | None:
        self.scratches.append(place.scratch.name)
        for one in group:
            self.act(one, place)
            report(Observation(name=one.key, observed=Observed.PASSED))
        return ["Apple M1"] if group[0].name == "a.gpu" else None

    def make_scenario(
        self, _lock: object, _interpreter: Path, scenario: str, folder: Path, **_: object
    ) -> Path:
        self.made.append(scenario)
        if scenario == self.failing:
            raise ToolError(f"no {scenario}")
        self.all_made.set()
        return folder / scenario / "bin" / "python"

    @contextmanager
    def equipped(
        self, one: Capability, place: ProcessSetup, _second_installs: object
    ) -> Iterator[ProcessSetup]:
        if one.service:
            raise ToolError(f"no {one.service}")
        yield place

    def run(self, *groups: str, side_by_side: bool = True, **fields: object) -> list[str]:
        settings = Settings(index_url=None, channel_alias="", channel_mirrors={}, cache=Path())
        request = SmokeRequest(
            cell=cell(), lock=lock_of(cell()), prefix=Path("p"), python=Path("python"), backend="venv",
            date="2026-11-20", settings=settings, side_by_side=side_by_side,
        )  # fmt: skip
        request = replace(request, **fields)  # type: ignore[arg-type]
        made = [
            [capability(name, "s3" if "s3" in name else "") for name in group.split()] for group in groups
        ]
        runs = Runs(request, self.place, self.reported.append)
        self.faults = runs.faults
        return runs.run(made)

    @property
    def names(self) -> list[str]:
        return [observation.name for observation in self.reported]


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Suite:
    return Suite(monkeypatch, tmp_path)


def test_one_after_another(suite: Suite) -> None:
    assert suite.run("a.one a.two", "a.gpu", "a.three", side_by_side=False) == ["Apple M1"]
    assert suite.names == ["a.one", "a.two", "a.gpu", "a.three"]
    assert suite.scratches == ["group-0", "group-1", "group-2"]


def test_others_begin_after_the_first_capability_and_during_the_rest(suite: Suite) -> None:
    others_began = threading.Event()

    def act(one: Capability, _place: ProcessSetup) -> None:
        if one.name == "a.two":
            assert others_began.wait(10)
        if one.name == "a.other":
            assert suite.names == ["a.one"]
            others_began.set()

    suite.act = act
    suite.run("a.one a.two", "a.other", "a.last")
    assert sorted(suite.names) == ["a.last", "a.one", "a.other", "a.two"]


@pytest.mark.parametrize("side_by_side", [True, False])
def test_what_cant_be_had_is_not_verified(suite: Suite, *, side_by_side: bool) -> None:
    suite.run("a.one", "a.s3-read a.s3-list", "a.last", side_by_side=side_by_side)
    found = {observation.name: observation for observation in suite.reported}
    assert found["a.s3-read"].observed is found["a.s3-list"].observed is Observed.SKIPPED
    assert found["a.s3-read"].error == "no s3"
    assert suite.faults == ["no s3"]
    assert found["a.last"].observed is Observed.PASSED


def test_prefixes_are_made_while_the_first_capability_compiles(suite: Suite) -> None:
    def act(one: Capability, _place: ProcessSetup) -> None:
        if one.name == "a.one":
            assert suite.all_made.wait(10)

    suite.failing = "pandas"  # which is reported when its turn comes
    suite.act = act
    suite.run("a.one", "a.after-pandas", "a.other", "a.after-numpy a.again-after-numpy")
    assert suite.ahead == [True]
    assert suite.made == ["pandas", "numpy"]
    assert suite.names[0] == "a.one"
    assert sorted(suite.names[1:]) == ["a.after-numpy", "a.after-pandas", "a.again-after-numpy", "a.other"]


def test_who_is_free_takes_the_next(suite: Suite) -> None:
    last_began = threading.Event()

    def act(one: Capability, _place: ProcessSetup) -> None:
        if one.name == "a.long":
            assert last_began.wait(10)
        if one.name == "a.last":
            last_began.set()

    suite.act = act
    suite.run("a.one", "a.long", "a.last")
    assert suite.names[0] == "a.one"
    assert sorted(suite.names) == ["a.last", "a.long", "a.one"]


@pytest.mark.parametrize("failing", ["a.one", "a.other"])
def test_a_suite_that_cant_start_ends_both(suite: Suite, failing: str) -> None:
    def act(one: Capability, place: ProcessSetup) -> None:
        if one.name == failing:
            raise ToolError("can't start")

    suite.act = act
    with pytest.raises(ToolError, match="can't start"):
        suite.run("a.one", "a.other")


def test_an_interrupt_reaches_the_other_group(suite: Suite) -> None:
    waiting = threading.Event()

    def act(one: Capability, place: ProcessSetup) -> None:
        if one.name == "a.other":
            waiting.set()
            while not place.interrupted():
                threading.Event().wait(0.01)
            raise KeyboardInterrupt
        if one.name == "a.two":
            assert waiting.wait(10)
            raise KeyboardInterrupt

    suite.act = act
    with pytest.raises(KeyboardInterrupt):
        suite.run("a.one a.two", "a.other")
    assert suite.names == ["a.one"]


def test_the_callers_word_counts_too(suite: Suite) -> None:
    seen: list[bool] = []
    suite.act = lambda _one, place: seen.append(place.interrupted())
    suite.run("a.one", interrupted=lambda: True)
    assert seen == [True]
