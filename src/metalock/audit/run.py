"""Audit environments: read what their locks hold, judge it, and write the result next to the lock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from metalock.adapters.files import write_text
from metalock.audit.case import Case
from metalock.audit.checks import judge
from metalock.audit.facts import WheelFacts
from metalock.audit.result import AUDIT_FILE, Audit, audit_text, make_audit
from metalock.audit.store import read_audit
from metalock.audit.wheel_cache import WheelLibrary
from metalock.errors import MetalockError, NothingSelectedError, UnreadableWheelError
from metalock.lock.model import Lock
from metalock.matrix.model import Cell
from metalock.platforms import Platform
from metalock.records import table_text
from metalock.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """A cell, its lock and its result."""

    cell: Cell
    lock: Lock
    audit: Audit


def audit_cells(
    workspace: Workspace, cells: Sequence[Cell], library: WheelLibrary, *, again: bool
) -> Iterator[Audited]:
    """Give the result of each locked cell, written as it comes; a valid one is not made again.

    Raises `NothingSelectedError` if a cell isn't locked, and `FetchError`, before anything is written of
    a cell, if a wheel of it is not available: that is not a finding about the wheel.
    """
    locked = [(cell, lock) for cell in cells if (lock := workspace.state(cell).lock) is not None]
    if not locked or len(locked) < len(cells):
        names = sorted({cell.name for cell in cells} - {cell.name for cell, _ in locked})
        raise NothingSelectedError(
            f"nothing to audit, not locked: {', '.join(names)}", hint="Run `metalock env` to lock them."
        )
    waiting: list[tuple[Cell, Lock]] = []
    _add_records(workspace, {})
    records = workspace.records()
    for cell, lock in locked:
        is_recorded = all(package.sha256 in records for package in lock.pip)
        standing = read_audit(workspace, cell, lock) if is_recorded and not again else None
        if standing is None:
            waiting.append((cell, lock))
        else:
            write_text(workspace.folder(cell) / AUDIT_FILE, audit_text(standing))
            yield Audited(cell=cell, lock=lock, audit=standing)
    yield from _read_and_judge(workspace, waiting, library)


def _read_and_judge(
    workspace: Workspace, waiting: Sequence[tuple[Cell, Lock]], library: WheelLibrary
) -> Iterator[Audited]:
    """Read and judge a stack of one platform at a time, whose cells share wheels, so that little is open."""
    groups: dict[tuple[Platform, str], list[tuple[Cell, Lock]]] = {}
    for cell, lock in waiting:
        groups.setdefault((cell.platform, cell.stack), []).append((cell, lock))
    for (platform, _), members in groups.items():
        packages = [package for _, lock in members for package in lock.pip]
        answers: dict[str, WheelFacts | MetalockError] = {}
        for package, answer in library.facts(packages, platform):
            if isinstance(answer, MetalockError) and not isinstance(answer, UnreadableWheelError):
                raise answer  # at once: the next wheels may wait for the same server
            answers[package.sha256] = answer
        _add_records(workspace, answers)
        for cell, lock in members:
            audit = audit_lock(lock, answers)
            write_text(workspace.folder(cell) / AUDIT_FILE, audit_text(audit))
            yield Audited(cell=cell, lock=lock, audit=audit)


def _add_records(workspace: Workspace, answers: Mapping[str, WheelFacts | MetalockError]) -> None:
    """Write the digests of these wheels to the table, and leave out wheels that no lock has any more."""
    found = {sha: facts.record for sha, facts in answers.items() if isinstance(facts, WheelFacts)}
    locked = {package.sha256 for _, lock in workspace.locks() for package in lock.pip}
    known = workspace.records()
    table = {sha: record for sha, record in (known | found).items() if record and sha in locked}
    if table != known:
        write_text(workspace.records_file, table_text(table))


def audit_lock(lock: Lock, answers: Mapping[str, WheelFacts | MetalockError]) -> Audit:
    """Judge one lock by what is known of its wheels, keyed by sha256."""
    wheels, unreadable = [], {}
    for package in lock.pip:
        answer = answers.get(package.sha256)
        if isinstance(answer, WheelFacts):
            wheels.append(answer)
        else:
            unreadable[package.file] = str(answer or "was not read")
    findings = judge(Case(lock=lock, wheels=tuple(wheels), unreadable=unreadable))
    binaries = sum(len(wheel.binaries) for wheel in wheels)
    return make_audit(lock, wheels=len(wheels), binaries=binaries, findings=findings)
