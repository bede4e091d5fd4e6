"""What is already known of an environment's audit, from the file beside its lock."""

from __future__ import annotations

from collections.abc import Iterable

from metalock.audit.result import AUDIT_FILE, Audit, Verdict, parse_audit, renewed
from metalock.lock.model import Lock
from metalock.lock.text import lock_digest
from metalock.matrix.model import Cell
from metalock.workspace import CellState, Workspace

NOT_AUDITED, STALE = "not audited", "stale"


def read_audit(workspace: Workspace, cell: Cell, lock: Lock) -> Audit | None:
    """The result beside the lock, unless it is about another lock or none was reached.

    Its reports are those known now.
    """
    audit = _read(workspace, cell)
    return None if audit is None else _if_it_stands(audit, lock, lock_digest(lock))


def _if_it_stands(audit: Audit, lock: Lock, digest: str) -> Audit | None:
    if audit.verdict is Verdict.UNREADABLE or audit.lock != digest:
        return None
    return renewed(audit, lock)


def _read(workspace: Workspace, cell: Cell) -> Audit | None:
    path = workspace.folder(cell) / AUDIT_FILE
    return parse_audit(path.read_bytes()) if path.is_file() else None


def audit_words(workspace: Workspace, states: Iterable[CellState]) -> dict[str, str]:
    """By cell name: the verdict with its count of warnings, `stale`, or `not audited`."""
    words = {}
    for state in states:
        audit = _read(workspace, state.cell)
        if state.lock is None or audit is None:
            words[state.cell.name] = NOT_AUDITED
            continue
        standing = _if_it_stands(audit, state.lock, state.digest)
        words[state.cell.name] = STALE if standing is None else _word(standing)
    return words


def _word(audit: Audit) -> str:
    warnings = sum(finding.rule.is_warning for finding in audit.findings)
    if not warnings:
        return str(audit.verdict)
    return f"{audit.verdict}, {warnings} warning{'s' if warnings > 1 else ''}"
