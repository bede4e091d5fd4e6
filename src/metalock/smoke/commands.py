"""What `metalock smoke` does: find the lock, run the suite, show, record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from metalock.adapters.console import out, say
from metalock.adapters.settings import read_settings
from metalock.errors import UsageError
from metalock.evidence.model import Evidence, Outcome, counts_of, evidence_text, require_recordable
from metalock.evidence.store import write_evidence
from metalock.lock.model import Lock
from metalock.matrix.model import Cell
from metalock.prefix.check import check_prefix
from metalock.progress import Reporter
from metalock.smoke.run import run_suite
from metalock.smoke.setup import SmokeRequest
from metalock.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeOptions:
    """How the suite is run and shown."""

    date: str
    """ISO 8601, the day alone."""
    only: tuple[str, ...] = ()
    record: bool = False
    as_json: bool = False


def smoke_prefix(
    workspace: Workspace, cell: Cell, prefix: Path, backend: str, options: SmokeOptions, reporter: Reporter
) -> int:
    """Run the suite in the prefix, and return 1 if anything is other than the contract says."""
    lock = workspace.state(cell).lock
    if lock is None:
        raise UsageError(f"{cell.name} is not locked", hint="`metalock env` locks it.")
    if options.record:
        _require_locked(cell, lock, prefix)
    request = SmokeRequest(
        cell=cell,
        lock=lock,
        prefix=prefix,
        python=prefix / "bin" / "python",
        backend=backend,
        date=options.date,
        settings=read_settings(),
        only=options.only,
    )
    evidence = run_suite(request, reporter)
    if options.record:
        require_recordable(evidence)
        _require_locked(cell, lock, prefix)
        write_evidence(workspace, cell, lock, evidence)
    if options.as_json:
        out(evidence_text(evidence, lock).rstrip())
    for line in summary_lines(evidence, lock):
        say(line)
    return 1 if Outcome.UNEXPECTED in counts_of(evidence.results(lock)) else 0


def _require_locked(cell: Cell, lock: Lock, prefix: Path) -> None:
    if check_prefix(lock, prefix):
        raise UsageError(
            f"{prefix} is not {cell.name} as locked, so that nothing of it can be recorded",
            hint=f"`metalock build {cell.env} --check {prefix}` tells what differs.",
        )


def summary_lines(evidence: Evidence, lock: Lock) -> Iterator[str]:
    """How many of each outcome; and each surprise once more."""
    results = evidence.results(lock)
    for result in results:
        if result.is_surprise:
            yield f"{result.observation.name}: {result.surprise}"
            yield f"     {result.capability.claim}"
    yield ", ".join(f"{count} {outcome}" for outcome, count in counts_of(results).items())
