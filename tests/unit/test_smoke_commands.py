"""`metalock smoke`: what it shows, what it records, and what it refuses to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from samples import locked_workspace

from metalock.errors import ToolError, UsageError
from metalock.evidence.model import Evidence, Observation, Observed
from metalock.findings import CheckRule, Finding
from metalock.lock.text import lock_digest
from metalock.matrix.expand import select
from metalock.platforms import Platform
from metalock.progress import Reporter
from metalock.smoke import commands
from metalock.smoke.commands import SmokeOptions, smoke_prefix
from metalock.smoke.setup import SmokeRequest
from metalock.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    def run_suite(request: SmokeRequest, _reporter: Reporter) -> Evidence:
        observed = Observed.RAISED if request.prefix.name == "bad" else Observed.PASSED
        return Evidence(
            lock=lock_digest(request.lock),
            date=request.date,
            backend=request.backend,
            host={},
            observations=(Observation(name="environment.import", observed=observed, error="Error: no"),),
            faults=("no S3 server",) if request.prefix.name == "poor" else (),
        )

    monkeypatch.setattr(commands, "run_suite", run_suite)
    monkeypatch.setattr(commands, "check_prefix", lambda _lock, _prefix: [])
    return locked_workspace(tmp_path)


def smoke(workspace: Workspace, prefix: str, **options: bool) -> int:
    cells = select(workspace.cells(), platforms=(Platform.LINUX_64,))
    chosen = SmokeOptions(date="2026-11-20", **options)  # type: ignore[arg-type]
    return smoke_prefix(workspace, cells[0], Path(prefix), "venv", chosen, Reporter())


def recorded(workspace: Workspace) -> list[Path]:
    return list(workspace.envs.glob("*/*/smoke.json"))


def test_all_as_expected(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert smoke(workspace, "good") == 0
    assert capsys.readouterr().err == "1 works\n"
    assert recorded(workspace) == []


def test_a_surprise_is_told_with_its_claim(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert smoke(workspace, "bad") == 1
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "environment.import: expected: works; observed: raised (Error: no)"
    assert told[1].strip().startswith("`import tensorflow` works")
    assert told[2] == "1 unexpected"


def test_json_and_record(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert smoke(workspace, "good", record=True, as_json=True) == 0
    (path,) = recorded(workspace)
    shown = capsys.readouterr().out
    assert json.loads(shown) == json.loads(path.read_text(encoding="utf-8"))


def test_another_set_is_not_recorded(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = Finding(rule=CheckRule.MISSING, where="numpy", detail="is not there")
    monkeypatch.setattr(commands, "check_prefix", lambda _lock, _prefix: [fault])
    with pytest.raises(UsageError, match=r"not .* as locked"):
        smoke(workspace, "good", record=True)
    assert recorded(workspace) == []
    assert smoke(workspace, "good") == 0


def test_a_set_that_the_suite_changed_is_not_recorded(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = iter([[], [Finding(rule=CheckRule.MISSING, where="numpy", detail="is not there")]])
    monkeypatch.setattr(commands, "check_prefix", lambda _lock, _prefix: next(found))
    with pytest.raises(UsageError, match=r"not .* as locked"):
        smoke(workspace, "good", record=True)
    assert recorded(workspace) == []


def test_what_could_not_be_tried_for_the_moment_is_shown_and_not_recorded(workspace: Workspace) -> None:
    assert smoke(workspace, "poor") == 0
    with pytest.raises(ToolError, match="not recorded, since not all could be tried: no S3 server"):
        smoke(workspace, "poor", record=True)
    assert recorded(workspace) == []
