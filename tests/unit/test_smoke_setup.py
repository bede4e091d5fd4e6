"""What the suite's processes are given, and what of this machine is taken out of what they say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from samples import cell, lock_of

from metalock.adapters.settings import Settings
from metalock.errors import FetchError, NothingSelectedError
from metalock.evidence.contract import contract
from metalock.evidence.model import Observation, Observed
from metalock.smoke import setup as place_module
from metalock.smoke.process import ProcessSetup
from metalock.smoke.run import select_capabilities
from metalock.smoke.setup import (
    HEAD,
    TAIL,
    SecondInstalls,
    SmokeRequest,
    equipped,
    make_setup,
    without_paths,
)


@pytest.fixture
def request_here(tmp_path: Path) -> SmokeRequest:
    return SmokeRequest(
        cell=cell(),
        lock=lock_of(cell()),
        prefix=tmp_path / "prefix",
        python=tmp_path / "prefix" / "bin" / "python",
        backend="venv",
        date="2026-11-20",
        settings=Settings(index_url=None, channel_alias="", channel_mirrors={}, cache=tmp_path / "cache"),
    )


@pytest.fixture
def place(request_here: SmokeRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProcessSetup:
    monkeypatch.setattr(place_module, "suite_tools", lambda _cache, _index: tmp_path / "tools")
    monkeypatch.setenv("SECRET", "token")
    (tmp_path / "scratch").mkdir()
    return make_setup(request_here, tmp_path / "scratch")


def test_nothing_of_the_calling_shell_gets_in(place: ProcessSetup, tmp_path: Path) -> None:
    assert "SECRET" not in place.environment
    assert place.environment["HOME"] == str(tmp_path / "scratch" / "home")
    assert place.environment["PATH"].split(":")[0] == str(tmp_path / "prefix" / "bin")
    assert "tensorflow" in json.loads(place.environment["METALOCK_LOCKED"])


def test_errors_name_no_folder_of_this_machine(place: ProcessSetup, tmp_path: Path) -> None:
    error = (
        f"ImportError: {tmp_path}/prefix/lib/x.so in {tmp_path}/scratch/group-0/tests by "
        f"{tmp_path}/tools/pytest, "
        "base /home/me/python/lib, object at 0x7f12ab34cd56"
    )
    observation = Observation(name="a.b", observed=Observed.RAISED, error=error)
    found = without_paths(observation, place, tmp_path / "prefix", "/home/me/python").error
    assert found == (
        "ImportError: <prefix>/lib/x.so in <scratch>/group-0/tests by <tools>/pytest, "
        "base <python>/lib, object at 0x…"
    )


def test_a_long_error_keeps_both_ends(place: ProcessSetup, tmp_path: Path) -> None:
    observation = Observation(
        name="a.b", observed=Observed.RAISED, error=f"in user code:{'x' * 5000}the cause"
    )
    found = without_paths(observation, place, tmp_path / "prefix", "/python").error
    assert found.startswith("in user code:x")
    assert found.endswith("xthe cause")
    assert len(found) == HEAD + TAIL + len(" … ")


def test_a_second_install_is_made_once(
    request_here: SmokeRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def make_scenario(_lock: object, _python: Path, scenario: str, folder: Path, **_: object) -> Path:
        made.append(scenario)
        if len(made) == 1:
            raise FetchError("the index is down")
        return folder / scenario / "bin" / "python"

    monkeypatch.setattr(place_module, "make_scenario", make_scenario)
    installs = SecondInstalls(request_here, tmp_path)
    with pytest.raises(FetchError):
        installs.make("pandas")
    assert installs.make("pandas") == installs.python("pandas") == tmp_path / "scenarios/pandas/bin/python"
    assert made == ["pandas", "pandas"]


def test_a_second_install_is_gone_once_it_was_tried(
    request_here: SmokeRequest, place: ProcessSetup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make_scenario(_lock: object, _python: Path, scenario: str, folder: Path, **_: object) -> Path:
        (folder / scenario / "bin").mkdir(parents=True)
        return folder / scenario / "bin" / "python"

    monkeypatch.setattr(place_module, "make_scenario", make_scenario)
    capability = next(one for one in contract() if one.scenario == "pandas")
    installs = SecondInstalls(request_here, tmp_path / "scratch")
    for _ in range(2):
        with equipped(capability, place, installs) as given:
            prefix = given.python.parents[1]
            compiled = tmp_path / "scratch" / "pycache" / prefix.relative_to("/")
            compiled.mkdir(parents=True)
            assert prefix.is_dir()
        assert not prefix.exists()
        assert not compiled.exists()


@pytest.mark.parametrize("only", ["environment", "environment.import"])
def test_only_what_is_asked_for(request_here: SmokeRequest, only: str) -> None:
    names = [c.name for c in select_capabilities(replace(request_here, only=(only,)))]
    assert names[0] == "environment.import"
    assert {name.partition(".")[0] for name in names} == {"environment"}


def test_an_area_that_there_isnt(request_here: SmokeRequest) -> None:
    with pytest.raises(NothingSelectedError, match="no capability with that name applies"):
        select_capabilities(replace(request_here, only=("nonsense",)))


def test_what_needs_a_package_is_left_out_without_it(request_here: SmokeRequest) -> None:
    needing = [c for c in select_capabilities(request_here) if "tensorflow-io" in c.needs]
    assert needing == []
