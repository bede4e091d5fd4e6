"""What is known of an environment's audit, from the file next to its lock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from metalock.adapters.reading import read_evidence_file
from metalock.audit.result import (
    AUDIT_FILE,
    Audit,
    Verdict,
    audited_digest,
    parse_audit,
    renewed,
    require_all_wheels,
)
from metalock.audit.rules import RULES_DIGEST
from metalock.lock.model import Lock
from metalock.matrix.model import Cell
from metalock.untrusted import InvalidFileError
from metalock.workspace import CellState, Workspace

NOT_AUDITED, STALE, OLD_RULES = "not audited", "stale", "stale: made by other rules"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditStatus:
    """The audit of one environment."""

    verdict: Verdict | None = None
    """None without a valid audit of the present lock."""
    warnings: int = 0
    is_stale: bool = False
    """The audit is of another lock or by other rules, or some wheel could not be read."""
    has_old_rules: bool = False
    """The audit is stale because of its rules."""
    fault: str = ""
    """Why the file is not valid; it then counts as not there."""

    @property
    def short(self) -> str:
        """Return the verdict, why the result is stale, or `not audited`."""
        if self.verdict is not None:
            return str(self.verdict)
        if self.has_old_rules:
            return OLD_RULES
        return STALE if self.is_stale else NOT_AUDITED

    @property
    def words(self) -> str:
        """Return the same with the number of warnings, if there are any."""
        if not self.warnings:
            return self.short
        return f"{self.short}, {self.warnings} warning{'s' if self.warnings > 1 else ''}"


def read_audit(workspace: Workspace, cell: Cell, lock: Lock) -> Audit | None:
    """Return the audit of that lock, with the reports that are known now.

    None for an audit of another lock or by other rules, one in which a wheel could not be read,
    and a file that is not valid.
    """
    try:
        audit = _read(workspace, cell)
        return None if audit is None else _if_current(audit, lock)
    except InvalidFileError:
        return None


def _if_current(audit: Audit, lock: Lock) -> Audit | None:
    if audit.lock != audited_digest(lock) or audit.rules != RULES_DIGEST:
        return None
    require_all_wheels(audit, lock)
    return None if audit.verdict is Verdict.UNREADABLE else renewed(audit, lock)


def _read(workspace: Workspace, cell: Cell) -> Audit | None:
    data = read_evidence_file(workspace.folder(cell) / AUDIT_FILE)
    return None if data is None else parse_audit(data)


def audit_statuses(workspace: Workspace, states: Iterable[CellState]) -> dict[str, AuditStatus]:
    """Return, by cell name, what the audit next to the lock says."""
    return {state.cell.name: _status(workspace, state) for state in states}


def _status(workspace: Workspace, state: CellState) -> AuditStatus:
    try:
        audit = _read(workspace, state.cell)
        if state.lock is None or audit is None:
            return AuditStatus()
        current = _if_current(audit, state.lock)
    except InvalidFileError as error:
        return AuditStatus(fault=str(error))
    if current is None:
        return AuditStatus(is_stale=True, has_old_rules=audit.rules != RULES_DIGEST)
    warnings = sum(finding.rule.is_warning for finding in current.findings)
    return AuditStatus(verdict=current.verdict, warnings=warnings)
