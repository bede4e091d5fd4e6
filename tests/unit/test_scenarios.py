"""What is installed on top of a lock, and how."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from samples import cell, lock_of

from metalock.adapters import uv_install
from metalock.adapters.proc import Completed
from metalock.adapters.settings import Settings
from metalock.errors import UnsolvableError
from metalock.evidence.contract import contract
from metalock.prefix.model import Backend, BuildRequest, Built
from metalock.progress import Reporter
from metalock.smoke import scenarios
from metalock.smoke.scenarios import SCENARIOS, make_scenario

SETTINGS = Settings(
    index_url="https://index.example/simple",
    channel_alias="https://conda.example",
    channel_mirrors={},
    cache=Path("cache"),
)


def test_every_scenario_is_tried_and_every_one_tried_is_known() -> None:
    assert {capability.scenario for capability in contract()} - {""} == set(SCENARIOS)


class Machine:
    """Replaces the build and uv."""

    def __init__(self, completed: Completed) -> None:
        self.completed = completed
        self.requests: list[BuildRequest] = []
        self.args: list[str] = []
        self.env: dict[str, str] = {}

    def build(self, request: BuildRequest, _settings: object, _reporter: Reporter) -> Built:
        self.requests.append(request)
        return Built(
            prefix=request.prefix,
            python=request.prefix / "bin" / "python",
            backend=request.backend,
            seconds=1,
            interpreter="3.11.9",
        )

    def run(self, args: Sequence[str | Path], *, env: dict[str, str], **_: object) -> Completed:
        self.args, self.env = [str(arg) for arg in args], env
        return self.completed


def made(monkeypatch: pytest.MonkeyPatch, completed: Completed) -> tuple[Machine, Path]:
    machine = Machine(completed)
    monkeypatch.setattr(scenarios, "build", machine.build)
    monkeypatch.setattr(uv_install, "run", machine.run)
    lock = lock_of(cell())
    python = make_scenario(
        lock,
        Path("/env/bin/python"),
        "pandas",
        Path("/scratch"),
        exclude_newer="2026-08-21T00:00:00Z",
        settings=SETTINGS,
    )
    return machine, python


def test_the_lock_comes_first_then_what_a_user_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, python = made(monkeypatch, Completed(code=0, stdout="", stderr=""))
    assert python == Path("/scratch/pandas/bin/python")
    (request,) = machine.requests
    assert (request.backend, request.python) == (Backend.VENV, Path("/env/bin/python"))
    assert machine.args[-1] == "pandas"
    for option, value in (
        ("--python", "/scratch/pandas/bin/python"),
        ("--upgrade-package", "pandas"),
        ("--exclude-newer", "2026-08-21T00:00:00Z"),
        ("--only-binary", ":all:"),
    ):
        assert machine.args[machine.args.index(option) + 1] == value
    assert "--no-deps" not in machine.args
    assert machine.env["UV_DEFAULT_INDEX"] == SETTINGS.index_url


def test_uv_failing_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = Completed(code=1, stdout="", stderr="  x No solution found when resolving dependencies")
    with pytest.raises(UnsolvableError, match="No solution"):
        made(monkeypatch, failed)
