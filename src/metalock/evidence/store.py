"""What is known of an environment from the evidence next to its lock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from metalock.adapters.files import write_text
from metalock.adapters.reading import read_evidence_file
from metalock.errors import ToolError
from metalock.evidence.contract import contract, situation_of
from metalock.evidence.model import SMOKE_FILE, Evidence, Outcome, Result, counts_of
from metalock.evidence.text import evidence_text, parse_evidence
from metalock.lock.model import Lock, lock_digest
from metalock.matrix.model import Cell
from metalock.platforms import Platform
from metalock.untrusted import InvalidFileError
from metalock.workspace import CellState, Workspace

NOT_TRIED = "not tried"
GPU = "gpu"
"""The device of the capabilities that only a GPU can verify."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The result of a run of the suite in one environment."""

    platform: Platform
    evidence: Evidence | None = None
    """The evidence about the present lock, if there is any."""
    is_stale: bool = False
    """The evidence is about another lock."""
    date: str = ""
    """The day of the run, also of one that is stale."""
    fault: str = ""
    """Why the file is not valid; it then counts as not there."""
    counts: Mapping[Outcome, int] = field(default_factory=dict)
    untried: int = 0
    """Number of capabilities that apply to the lock and were not in the contract at the time of the run."""
    on_gpu: bool = False
    """A capability was tried on a GPU, not merely a GPU listed."""

    @property
    def works(self) -> bool:
        """Return whether every outcome is as the contract says, and something worked."""
        return Outcome.UNEXPECTED not in self.counts and Outcome.WORKS in self.counts

    @property
    def short(self) -> str:
        """Return a few words for a table: `works on Linux`, `3 unexpected on a Mac's CPU`, `not tried`."""
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
        """Return the same words with the GPU, what installed Python, and the day."""
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
        """Return the trial as JSON values; without evidence the words alone."""
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
    """Return the evidence about that lock; None for evidence about another lock, or that is not valid."""
    try:
        evidence = _read(workspace, cell)
    except InvalidFileError:
        return None
    return evidence if evidence is not None and evidence.lock == lock_digest(lock) else None


def write_evidence(workspace: Workspace, cell: Cell, lock: Lock, evidence: Evidence) -> None:
    """Write the evidence next to the lock, with the outcomes by the present contract.

    Raise `ToolError` rather than write what could not be read again.
    """
    text = evidence_text(evidence, lock)
    try:
        parse_evidence(text.encode(), cell.platform)
    except InvalidFileError as error:
        raise ToolError(f"{cell.name}: result not saved, it does not satisfy the schema: {error}") from None
    write_text(workspace.folder(cell) / SMOKE_FILE, text)


def _read(workspace: Workspace, cell: Cell) -> Evidence | None:
    data = read_evidence_file(workspace.folder(cell) / SMOKE_FILE)
    return None if data is None else parse_evidence(data, cell.platform)


def trials(workspace: Workspace, states: Iterable[CellState]) -> dict[str, Trial]:
    """Return, by cell name, what the evidence next to the lock says."""
    return {state.cell.name: _trial(workspace, state) for state in states}


def _trial(workspace: Workspace, state: CellState) -> Trial:
    platform = state.cell.platform
    try:
        evidence = _read(workspace, state.cell)
    except InvalidFileError as error:
        return Trial(platform=platform, fault=str(error))
    if evidence is None or state.lock is None:
        return Trial(platform=platform)
    if evidence.lock != lock_digest(state.lock):
        return Trial(platform=platform, is_stale=True, date=evidence.date)
    results = evidence.results(state.lock)
    situation = situation_of(state.lock)
    applying = sum(capability.applies(situation) for capability in contract())
    return Trial(
        platform=platform,
        evidence=evidence,
        date=evidence.date,
        counts=counts_of(results),
        untried=max(applying - len(results), 0),
        on_gpu=any(_is_of_a_gpu(result) for result in results),
    )


def _is_of_a_gpu(result: Result) -> bool:
    return result.capability.device == GPU and result.outcome is not Outcome.NOT_VERIFIED
