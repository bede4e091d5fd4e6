"""One prefix tried against its lock, and the evidence recorded next to it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from metalock.errors import UsageError
from metalock.evidence.model import Evidence, counts_of, require_recordable
from metalock.evidence.store import write_evidence
from metalock.lock.model import Lock
from metalock.prefix.check import check_prefix, compare
from metalock.prefix.read import read_prefix
from metalock.progress import Reporter
from metalock.smoke.run import run_suite
from metalock.smoke.setup import SmokeRequest
from metalock.workspace import Workspace


def try_prefix(workspace: Workspace, request: SmokeRequest, reporter: Reporter, *, record: bool) -> Evidence:
    """Run the suite in a prefix; with `record`, also write its evidence next to the lock.

    Without `record`, a prefix whose packages are not those of the lock is noted.

    Raises `UsageError` if evidence is to be recorded of a prefix that is not as locked, before or after.
    """
    if record:
        _require_locked(workspace, request)
    elif differences := list(compare(request.lock, read_prefix(request.prefix))):
        reporter.note(
            f"{request.prefix} is not {request.cell.name} as locked (differences: {len(differences)}); "
            f"its outcomes are still compared with the contract for that lock. {_see_what_differs(request)}"
        )
    evidence = run_suite(request, reporter)
    if record:
        require_recordable(evidence)
        _require_locked(workspace, request)
        write_evidence(workspace, request.cell, request.lock, evidence)
    return evidence


def _require_locked(workspace: Workspace, request: SmokeRequest) -> None:
    """Raise `UsageError` if the prefix is not as locked."""
    name, prefix = request.cell.name, request.prefix
    if check_prefix(request.lock, prefix, records=workspace.records()):
        raise UsageError(
            f"result not saved: {prefix} is not {name} as locked", hint=_see_what_differs(request)
        )


def _see_what_differs(request: SmokeRequest) -> str:
    return (
        f"Run `metalock build {request.cell.env} --check {shlex.quote(str(request.prefix))}` "
        "to see what differs."
    )


def summary_lines(evidence: Evidence, lock: Lock) -> Iterator[str]:
    """Yield each unexpected outcome once more, then how many there are of each outcome."""
    results = evidence.results(lock)
    for result in results:
        if result.is_surprise:
            yield f"{result.observation.name}: {result.surprise}"
            yield f"     {result.capability.claim}"
    yield ", ".join(f"{count} {outcome}" for outcome, count in counts_of(results).items())
