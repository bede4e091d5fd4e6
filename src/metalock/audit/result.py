"""The result of an audit as `audit.json`, bound to the lock that it is about."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from metalock.audit.reports import warnings_of
from metalock.audit.rules import RULES, AuditRule
from metalock.findings import Finding
from metalock.lock.model import Lock
from metalock.lock.text import lock_digest

AUDIT_FILE = "audit.json"
SCHEMA = 1
"""Goes up with the form of the file, and when the rules come to find something else in the same wheels."""
MEANING = "loads: every library and symbol is found; not that it runs, or computes rightly"


class Verdict(StrEnum):
    """What can be said of an environment without running it."""

    LOADS = "loads"
    FAILS = "fails"
    UNREADABLE = "unreadable"
    """Something could not be looked at, so nothing is vouched for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """One environment's result."""

    lock: str
    """The digest of the lock that was audited."""
    wheels: int
    binaries: int
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        grave = {finding.rule for finding in self.findings if not finding.rule.is_warning}
        if grave - {AuditRule.UNREADABLE}:
            return Verdict.FAILS
        return Verdict.UNREADABLE if grave else Verdict.LOADS


def make_audit(lock: Lock, *, wheels: int, binaries: int, findings: Iterable[Finding]) -> Audit:
    """The findings from the wheels, with the reports that concern the lock."""
    told = _with_warnings(findings, lock)
    return Audit(lock=lock_digest(lock), wheels=wheels, binaries=binaries, findings=told)


def _with_warnings(findings: Iterable[Finding], lock: Lock) -> tuple[Finding, ...]:
    every = [*findings, *warnings_of(lock)]
    return tuple(sorted(every, key=lambda f: (f.rule.code, f.package, f.where, f.detail)))


def audit_text(audit: Audit) -> str:
    """JSON: the same audit gives the same bytes."""
    table = {
        "schema": SCHEMA,
        "lock": audit.lock,
        "verdict": audit.verdict,
        "meaning": MEANING,
        "wheels": audit.wheels,
        "binaries": audit.binaries,
        "findings": [finding_dict(finding) for finding in audit.findings],
    }
    return json.dumps(table, indent=1) + "\n"


def finding_dict(finding: Finding) -> dict[str, object]:
    """Return a finding of the audit as JSON values."""
    return {
        "rule": finding.rule.code,
        "package": finding.package,
        "path": finding.where,
        "detail": finding.detail,
        "names": list(finding.names),
        "fix": finding.rule.fix,
        "page": finding.rule.page,
    }


def parse_audit(data: bytes) -> Audit | None:
    """The audit, or None for what is none of this schema: it is then made again."""
    try:
        table = json.loads(data.decode())
        if table["schema"] != SCHEMA:
            return None
        return Audit(
            lock=str(table["lock"]),
            wheels=int(table["wheels"]),
            binaries=int(table["binaries"]),
            findings=tuple(_finding(item) for item in table["findings"]),
        )
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def _finding(item: dict[str, object]) -> Finding:
    names = item["names"]
    return Finding(
        rule=RULES[str(item["rule"])],
        package=str(item["package"]),
        where=str(item["path"]),
        detail=str(item["detail"]),
        names=tuple(str(name) for name in names) if isinstance(names, list) else (),
    )


def renewed(audit: Audit, lock: Lock) -> Audit:
    """The same findings from the wheels of that lock, with the reports as they are known now."""
    own = [finding for finding in audit.findings if finding.rule is not AuditRule.KNOWN]
    return replace(audit, findings=_with_warnings(own, lock))
