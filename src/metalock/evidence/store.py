"""What is already known of an environment, from the evidence beside its lock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from metalock.adapters.files import write_text
from metalock.evidence.contract import contract, situation_of
from metalock.evidence.model import (
    SMOKE_FILE,
    Evidence,
    Outcome,
    Result,
    counts_of,
    evidence_text,
    parse_evidence,
)
from metalock.lock.model import Lock
from metalock.lock.text import lock_digest
from metalock.matrix.model import Cell
from metalock.platforms import Platform
from metalock.workspace import CellState, Workspace

NOT_TRIED = "not tried"
GPU = "gpu"
"""The device of the capabilities that only a GPU can vouch for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a run of the suite came to in one environment, in the words of a table."""

    platform: Platform
    evidence: Evidence | None = None
    is_stale: bool = False
    """It is about another lock."""
    counts: Mapping[Outcome, int] = field(default_factory=dict)
    untried: int = 0
    """How many capabilities apply to the lock and came to the contract after the run."""
    on_gpu: bool = False
    """A capability was tried on a GPU, not merely a GPU seen."""

    @property
    def works(self) -> bool:
        """Everything came out as the contract says, and something worked."""
        return Outcome.UNEXPECTED not in self.counts and Outcome.WORKS in self.counts

    @property
    def short(self) -> str:
        """`works on Linux`, `3 unexpected on a Mac's CPU`, `not tried on a Mac`: as a table has room for."""
        if self.is_stale:
            return "run is stale"
        if self.evidence is None or not self.counts:
            return f"{NOT_TRIED} on a Mac" if self.platform.is_macos else NOT_TRIED
        if self.works:
            return f"works on {self._place}"
        surprises = self.counts.get(Outcome.UNEXPECTED, 0)
        return f"{surprises} unexpected on {self._place}" if surprises else f"nothing works on {self._place}"

    @property
    def words(self) -> str:
        """The same with the GPU, who installed Python, and the day."""
        if self.evidence is None or not self.counts:
            return self.short
        gpu = f": {', '.join(self.evidence.gpus)}" if self.on_gpu else ""
        return f"{self.short}{gpu} ({self.evidence.backend}), {self.evidence.date}"

    @property
    def _place(self) -> str:
        if not self.platform.is_macos:
            return "Linux"
        return "a Mac's GPU" if self.on_gpu else "a Mac's CPU"

    def to_dict(self) -> dict[str, object]:
        """JSON values; without evidence the words alone."""
        if self.evidence is None:
            return {"words": self.words}
        return {
            "words": self.words,
            "date": self.evidence.date,
            "backend": self.evidence.backend,
            "host": dict(self.evidence.host),
            "counts": {str(outcome): count for outcome, count in self.counts.items()},
            "untried": self.untried,
        }


def read_evidence(workspace: Workspace, cell: Cell, lock: Lock) -> Evidence | None:
    """The evidence beside the lock, unless it is about another lock."""
    evidence = _read(workspace, cell)
    return evidence if evidence is not None and evidence.lock == lock_digest(lock) else None


def write_evidence(workspace: Workspace, cell: Cell, lock: Lock, evidence: Evidence) -> None:
    """Put it beside the lock, as the contract judges it now."""
    write_text(workspace.folder(cell) / SMOKE_FILE, evidence_text(evidence, lock))


def _read(workspace: Workspace, cell: Cell) -> Evidence | None:
    path = workspace.folder(cell) / SMOKE_FILE
    return parse_evidence(path.read_bytes()) if path.is_file() else None


def trials(workspace: Workspace, states: Iterable[CellState]) -> dict[str, Trial]:
    """By cell name: what the evidence beside the lock says."""
    return {state.cell.name: _trial(workspace, state) for state in states}


def _trial(workspace: Workspace, state: CellState) -> Trial:
    platform, evidence = state.cell.platform, _read(workspace, state.cell)
    if evidence is None or state.lock is None:
        return Trial(platform=platform)
    if evidence.lock != state.digest:
        return Trial(platform=platform, is_stale=True)
    results = evidence.results(state.lock)
    situation = situation_of(state.lock)
    applying = sum(capability.applies(situation) for capability in contract())
    return Trial(
        platform=platform,
        evidence=evidence,
        counts=counts_of(results),
        untried=max(applying - len(results), 0),
        on_gpu=any(_is_of_a_gpu(result) for result in results),
    )


def _is_of_a_gpu(result: Result) -> bool:
    return result.capability.device == GPU and result.outcome is not Outcome.NOT_VERIFIED
