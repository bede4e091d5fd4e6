"""smoke.standing and tiers: what evidence shows, in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from samples import MATRIX, host_of, locked_workspace

from metalock.audit.result import AUDIT_FILE, Verdict, audit_text, make_audit
from metalock.audit.store import audit_statuses
from metalock.evidence.model import (
    SMOKE_FILE,
    Evidence,
    Observation,
    Observed,
    Outcome,
)
from metalock.evidence.store import Trial, read_evidence, trials
from metalock.evidence.text import evidence_text, parse_evidence
from metalock.lock.model import cell_inputs, lock_digest
from metalock.lock.text import lock_text, parse_lock
from metalock.overview.query import Tier
from metalock.overview.tiers import known_of
from metalock.platforms import Platform
from metalock.workspace import LOCK_FILE, CellState, Standing, Workspace, open_workspace

ROOT = Path(__file__).parents[2]

EVIDENCE = Evidence(lock="", date="2026-11-20", backend="venv", host={"gpus": ["Apple M1"]}, observations=())
GOOD = {Outcome.WORKS: 2, Outcome.BROKEN: 1, Outcome.NOT_VERIFIED: 1}
MAC, LINUX = Platform.OSX_ARM64, Platform.LINUX_64


def test_what_was_observed_is_what_the_contract_says_now() -> None:
    """Of this repository: a change of the contract has to agree with every run that is recorded."""
    workspace, tried = open_workspace(ROOT / "matrix.toml"), 0
    for path in sorted(workspace.envs.glob(f"*/*/{SMOKE_FILE}")):
        lock = parse_lock(path.with_name(LOCK_FILE).read_text(encoding="utf-8"))
        evidence = parse_evidence(path.read_bytes(), lock.platform)
        if evidence.lock == lock_digest(lock):
            surprises = [r.observation.name for r in evidence.results(lock) if r.is_surprise]
            assert surprises == [], f"{path.parent.name}: {surprises}"
            assert evidence_text(evidence, lock) == path.read_text(encoding="utf-8"), path
            tried += 1
    assert tried > 0


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs" / "evidence").glob("*.json")), ids=lambda path: path.stem
)
def test_a_real_conda_environment_came_to_what_its_venv_did(path: Path) -> None:
    """What docs/smoke.md says of it."""
    platform, _, env = path.stem.partition(".")
    venv = parse_evidence((ROOT / "envs" / platform / env / SMOKE_FILE).read_bytes(), Platform(platform))
    conda = parse_evidence(path.read_bytes(), Platform(platform))
    assert (venv.backend, conda.backend) == ("venv", "conda")
    lock = parse_lock((ROOT / "envs" / platform / env / LOCK_FILE).read_text(encoding="utf-8"))
    outcomes = [{r.capability.key: r.outcome for r in found.results(lock)} for found in (venv, conda)]
    assert outcomes[0] == outcomes[1]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return locked_workspace(tmp_path, MATRIX)


def states(workspace: Workspace) -> dict[str, CellState]:
    return {cell.name: workspace.state(cell) for cell in workspace.cells()}


def record(workspace: Workspace, state: CellState, observed: Observed, digest: str | None = None) -> None:
    assert state.lock is not None
    names = ("environment.import", "environment.versions")
    evidence = Evidence(
        lock=digest or lock_digest(state.lock),
        date="2026-11-20",
        backend="venv",
        host=host_of(state.cell.platform),
        observations=tuple(Observation(name=name, observed=observed) for name in names),
    )
    (workspace.folder(state.cell) / SMOKE_FILE).write_text(evidence_text(evidence, state.lock))


@pytest.mark.parametrize(
    ("trial", "short", "words"),
    [
        (Trial(platform=LINUX), "not tried", "not tried"),
        (Trial(platform=MAC), "not tried on a Mac", "not tried on a Mac"),
        (Trial(platform=MAC, is_stale=True), "run is stale", "run is stale"),
        (Trial(platform=LINUX, evidence=EVIDENCE), "not tried", "not tried"),
        (
            Trial(platform=LINUX, evidence=EVIDENCE, counts=GOOD),
            "works on Linux",
            "works on Linux (venv), 2026-11-20",
        ),
        (
            Trial(platform=MAC, evidence=EVIDENCE, counts=GOOD),
            "works on a Mac's CPU",
            "works on a Mac's CPU (venv), 2026-11-20",
        ),
        (
            Trial(platform=MAC, evidence=EVIDENCE, counts=GOOD, on_gpu=True),
            "works on a Mac's GPU",
            "works on a Mac's GPU: Apple M1 (venv), 2026-11-20",
        ),
        (
            Trial(platform=LINUX, evidence=EVIDENCE, counts={**GOOD, Outcome.UNEXPECTED: 3}),
            "3 unexpected on Linux",
            "3 unexpected on Linux (venv), 2026-11-20",
        ),
        (
            Trial(platform=LINUX, evidence=EVIDENCE, counts={Outcome.NOT_VERIFIED: 3}),
            "nothing works on Linux",
            "nothing works on Linux (venv), 2026-11-20",
        ),
    ],
)
def test_words(trial: Trial, short: str, words: str) -> None:
    assert (trial.short, trial.words) == (short, words)


def test_evidence_survives_a_change_of_the_request(tmp_path: Path) -> None:
    """A later cut-off that moves no package costs no evidence, audit or tier."""
    before = locked_workspace(tmp_path, MATRIX)
    state = states(before)[f"{LINUX}/tf2.18-py3.11"]
    assert state.lock is not None
    record(before, state, Observed.PASSED)
    audit = make_audit(state.lock, wheels=len(state.lock.pip), binaries=0, findings=[])
    (before.folder(state.cell) / AUDIT_FILE).write_text(audit_text(audit))
    assert known_of(before, [state])[state.cell.name].tier is Tier.LINUX

    (tmp_path / "matrix.toml").write_text(MATRIX.replace("2026-08-21", "2026-08-22"))
    later = open_workspace(tmp_path / "matrix.toml")
    (cell,) = (cell for cell in later.cells() if cell.name == state.cell.name)
    lock_file = later.folder(cell) / LOCK_FILE
    lock_file.write_text(lock_text(replace(state.lock, inputs=cell_inputs(cell))))
    again = later.state(cell)
    assert again.standing is Standing.CURRENT
    assert again.lock is not None
    assert again.lock.inputs != state.lock.inputs
    assert read_evidence(later, cell, again.lock) is not None
    assert audit_statuses(later, [again])[cell.name].verdict is Verdict.LOADS
    assert known_of(later, [again])[cell.name].tier is Tier.LINUX


def test_evidence_counts_for_its_lock_alone(workspace: Workspace) -> None:
    state = states(workspace)["linux-64/tf2.18-py3.11"]
    assert state.lock is not None
    assert read_evidence(workspace, state.cell, state.lock) is None
    record(workspace, state, Observed.PASSED, digest="0" * 64)
    assert read_evidence(workspace, state.cell, state.lock) is None
    assert trials(workspace, [state])[state.cell.name].is_stale
    record(workspace, state, Observed.PASSED)
    assert read_evidence(workspace, state.cell, state.lock) is not None


def test_tiers(workspace: Workspace) -> None:
    found = states(workspace)
    record(workspace, found["linux-64/tf2.18-py3.11"], Observed.PASSED)
    record(workspace, found["linux-64/tf2.18-py3.10"], Observed.RAISED)
    record(workspace, found["osx-arm64/tf2.18-py3.11"], Observed.PASSED)
    known = known_of(workspace, found.values())
    assert {name: one.tier for name, one in known.items()} == {
        "linux-64/tf2.18-py3.11": Tier.LINUX,
        "linux-64/tf2.18-py3.10": Tier.LOCKED,
        "osx-arm64/tf2.18-py3.11": Tier.MAC_CPU,
        "osx-arm64/tf2.18-py3.10": Tier.LOCKED,
    }
    linux = known["linux-64/tf2.18-py3.11"]
    assert linux.trial.to_dict()["counts"] == {"works": 2}
    assert (linux.trial.date, linux.trial.to_dict()["backend"]) == ("2026-11-20", "venv")
    assert known["linux-64/tf2.18-py3.10"].trial.short == "2 unexpected on Linux"
    assert known["osx-arm64/tf2.18-py3.10"].trial.to_dict() == {"words": "not tried on a Mac"}
