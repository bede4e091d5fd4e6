"""`metalock smoke`: what it shows, what it records, and what it refuses to."""

from __future__ import annotations

from pathlib import Path

import pytest
from samples import host_of, locked_workspace

from metalock.adapters.settings import read_settings
from metalock.errors import ToolError, UsageError
from metalock.evidence.model import Evidence, Observation, Observed
from metalock.evidence.text import parse_evidence
from metalock.findings import CheckRule, Finding
from metalock.lock.model import lock_digest
from metalock.matrix.expand import select
from metalock.platforms import Platform
from metalock.progress import Reporter
from metalock.smoke import attempt
from metalock.smoke.attempt import summary_lines, try_prefix
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
            host=host_of(request.lock.platform),
            observations=(Observation(name="environment.import", observed=observed, error="Error: no"),),
            faults=("no S3 server",) if request.prefix.name == "poor" else (),
        )

    monkeypatch.setattr(attempt, "run_suite", run_suite)
    monkeypatch.setattr(attempt, "check_prefix", lambda _lock, _prefix, **_: [])
    monkeypatch.setattr(attempt, "read_prefix", lambda prefix: prefix)
    monkeypatch.setattr(attempt, "compare", lambda _lock, _found: iter(()))
    return locked_workspace(tmp_path)


class Notes(Reporter):
    """Keeps what is noted."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def smoke(
    workspace: Workspace, prefix: str, *, record: bool = False, reporter: Reporter | None = None
) -> tuple[Evidence, list[str]]:
    cell = select(workspace.cells(), platforms=(Platform.LINUX_64,))[0]
    lock = workspace.state(cell).lock
    assert lock is not None
    request = SmokeRequest(
        cell=cell,
        lock=lock,
        prefix=Path(prefix),
        python=Path(prefix, "bin", "python"),
        backend="venv",
        date="2026-11-20",
        settings=read_settings(),
    )
    evidence = try_prefix(workspace, request, reporter or Reporter(), record=record)
    return evidence, list(summary_lines(evidence, lock))


def recorded(workspace: Workspace) -> list[Path]:
    return list(workspace.envs.glob("*/*/smoke.json"))


def test_all_as_expected(workspace: Workspace) -> None:
    _, lines = smoke(workspace, "good")
    assert lines == ["1 works"]
    assert recorded(workspace) == []


def test_an_unexpected_outcome_is_repeated_with_its_claim(workspace: Workspace) -> None:
    _, lines = smoke(workspace, "bad")
    assert lines[0] == "environment.import: expected: works; observed: raised (Error: no)"
    assert lines[1].strip().startswith("`import tensorflow` works")
    assert lines[2] == "1 unexpected"


def test_what_is_recorded_is_what_was_observed(workspace: Workspace) -> None:
    evidence, _ = smoke(workspace, "good", record=True)
    (path,) = recorded(workspace)
    assert parse_evidence(path.read_bytes(), Platform.LINUX_64) == evidence


def test_another_set_is_not_recorded(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = Finding(rule=CheckRule.MISSING, where="numpy", detail="is not there")
    monkeypatch.setattr(attempt, "check_prefix", lambda _lock, _prefix, **_: [fault])
    with pytest.raises(UsageError, match=r"not .* as locked"):
        smoke(workspace, "good", record=True)
    assert recorded(workspace) == []
    assert smoke(workspace, "good")[1] == ["1 works"]


def test_an_environment_of_another_lock_is_noted(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes()
    smoke(workspace, "good", reporter=notes)
    assert notes.lines == []
    fault = Finding(rule=CheckRule.OTHER, where="numpy", detail="2.0.2, the lock has 1.26.4")
    monkeypatch.setattr(attempt, "compare", lambda _lock, _found: iter([fault, fault]))
    smoke(workspace, "good", reporter=notes)
    (line,) = notes.lines
    assert " as locked (differences: 2); " in line
    assert line.endswith(" --check good` to see what differs.")


def test_a_set_that_the_suite_changed_is_not_recorded(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = iter([[], [Finding(rule=CheckRule.MISSING, where="numpy", detail="is not there")]])
    monkeypatch.setattr(attempt, "check_prefix", lambda _lock, _prefix, **_: next(found))
    with pytest.raises(UsageError, match=r"not .* as locked"):
        smoke(workspace, "good", record=True)
    assert recorded(workspace) == []


def test_what_could_not_be_tried_for_the_moment_is_shown_and_not_recorded(workspace: Workspace) -> None:
    assert smoke(workspace, "poor")[1] == ["1 works"]
    with pytest.raises(
        ToolError, match="result not saved: some capabilities could not be tried: no S3 server"
    ):
        smoke(workspace, "poor", record=True)
    assert recorded(workspace) == []
