"""How much each environment has been tested: locked, audited, tried on Linux, on a Mac's CPU or GPU."""

from __future__ import annotations

from collections.abc import Iterable

from metalock.audit.result import Verdict
from metalock.audit.store import AuditStatus, audit_statuses
from metalock.evidence.store import Trial, trials
from metalock.overview.query import EnvStatus, Tier
from metalock.workspace import CellState, Standing, Workspace


def known_of(workspace: Workspace, states: Iterable[CellState]) -> dict[str, EnvStatus]:
    """Return, by cell name, what its audit and its evidence say."""
    states = list(states)
    audits, tried = audit_statuses(workspace, states), trials(workspace, states)
    return {
        state.cell.name: EnvStatus(
            tier=_tier(state, audits[state.cell.name], tried[state.cell.name]),
            audit=audits[state.cell.name],
            trial=tried[state.cell.name],
        )
        for state in states
    }


def _tier(state: CellState, audit: AuditStatus, trial: Trial) -> Tier | None:
    if state.lock is None or state.standing is Standing.STALE:
        return None
    if trial.works and trial.on_gpu and trial.platform.is_macos:
        return Tier.MAC_GPU
    if trial.works:
        return Tier.MAC_CPU if trial.platform.is_macos else Tier.LINUX
    return Tier.AUDITED if audit.verdict is Verdict.LOADS else Tier.LOCKED
