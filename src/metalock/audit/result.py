"""The result of an audit as `audit.json`, bound to the lock that it is about."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from metalock.audit.reports import warnings_of
from metalock.audit.rules import RULES, RULES_DIGEST, AuditRule
from metalock.faults import Faults
from metalock.findings import Finding
from metalock.lock.model import Lock, digest_of
from metalock.untrusted import Fields, InvalidFileError, one_line, parse_json

AUDIT_FILE = "audit.json"
SCHEMA = 1
"""Is raised with the form of the file."""
KEYS = ("schema", "rules", "lock", "verdict", "meaning", "wheels", "binaries", "findings")
FINDING_KEYS = ("rule", "package", "path", "detail", "names", "fix", "page")
WHEELS = 10**4
BINARIES = 10**6
FINDINGS = 10**4
NAMES = 10**5
TEXT = 2000
NAME = 10**4
"""Characters of a name of a symbol; those of C++ templates are long."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
MEANING = (
    "loads: the loader takes every file and finds every library, symbol version and symbol, on the oldest "
    "system promised (docs/audit.md); not that it runs, or computes correctly"
)
_RULES_DIGEST = re.compile(r"[0-9a-f]{16}")


class Verdict(StrEnum):
    """What the audit says about an environment without running it."""

    LOADS = "loads"
    FAILS = "fails"
    UNREADABLE = "unreadable"
    """Something could not be read or judged, and nothing else is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The result of one environment."""

    lock: str
    """See `audited_digest`."""
    wheels: int
    binaries: int
    findings: tuple[Finding, ...]
    rules: str = RULES_DIGEST
    """The digest of the rules that were applied; empty in results from before there was one."""

    @property
    def verdict(self) -> Verdict:
        """Return what follows from the findings."""
        grave = {finding.rule for finding in self.findings if not finding.rule.is_warning}
        if grave - {AuditRule.UNREADABLE}:
            return Verdict.FAILS
        return Verdict.UNREADABLE if grave else Verdict.LOADS


def make_audit(lock: Lock, *, wheels: int, binaries: int, findings: Iterable[Finding]) -> Audit:
    """Return the findings from the wheels together with the reports that concern the lock."""
    found = _with_warnings(map(_clean, findings), lock)
    return Audit(lock=audited_digest(lock), wheels=wheels, binaries=binaries, findings=found)


def audited_digest(lock: Lock) -> str:
    """Return the digest of all that the rules see of a lock, so that nothing else makes a result stale.

    That is its wheels, the Python packages that conda brings, and the floor.
    """
    return digest_of(
        {
            "platform": str(lock.platform),
            "python": lock.python,
            "floor": lock.floor,
            "conda": [[p.name, p.version] for p in lock.conda if p.needs_python or p.name == "pip"],
            "pip": [[package.file, package.sha256] for package in lock.pip],
        }
    )


def _clean(finding: Finding) -> Finding:
    """Return the finding in the form that the schema allows: names in wheels may hold any character."""
    return replace(
        finding,
        package=one_line(finding.package, TEXT),
        where=one_line(finding.where, TEXT),
        detail=one_line(finding.detail, TEXT),
        names=tuple(one_line(name, NAME) for name in finding.names[:NAMES]),
    )


def _with_warnings(findings: Iterable[Finding], lock: Lock) -> tuple[Finding, ...]:
    every = [*findings, *warnings_of(lock)]
    return tuple(sorted(every, key=lambda f: (f.rule.code, f.package, f.where, f.detail)))


def audit_text(audit: Audit) -> str:
    """Return JSON; the same audit gives the same bytes."""
    table = {
        "schema": SCHEMA,
        "rules": audit.rules,
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


def parse_audit(data: bytes) -> Audit:
    """Return the audit; raise `InvalidFileError` with every fault if it does not satisfy the schema."""
    faults = Faults()
    fields = Fields(parse_json(data), "", faults, KEYS)
    fields.whole("schema", SCHEMA, SCHEMA)
    fields.line("meaning", most=TEXT)
    verdict = fields.one_of("verdict", Verdict)
    audit = Audit(
        lock=fields.line("lock", pattern=_DIGEST),
        wheels=fields.whole("wheels", 0, WHEELS),
        binaries=fields.whole("binaries", 0, BINARIES),
        findings=tuple(
            _finding(item, path, faults) for path, item in fields.items("findings", most=FINDINGS)
        ),
        rules=fields.line("rules", pattern=_RULES_DIGEST) if "rules" in fields else "",
    )
    if not faults.texts and verdict is not audit.verdict:
        fields.fault("verdict", f"the findings give {audit.verdict}")
    if not faults.texts and not audit.wheels and audit.verdict is Verdict.LOADS:
        fields.fault("wheels", "nothing was audited")
    if faults.texts:
        raise InvalidFileError(*faults.texts)
    return audit


def require_all_wheels(audit: Audit, lock: Lock) -> None:
    """Raise `InvalidFileError` if the audit of a lock is not about all of its wheels.

    Wheels that could not be read are findings and are not counted.
    """
    expected = len(lock.pip)
    has_unreadable = any(finding.rule is AuditRule.UNREADABLE for finding in audit.findings)
    if audit.wheels > expected or (audit.wheels < expected and not has_unreadable):
        raise InvalidFileError(f"wheels: {audit.wheels} were audited, the lock has {expected}")


def _finding(item: object, path: str, faults: Faults) -> Finding:
    fields = Fields(item, path, faults, FINDING_KEYS)
    code = fields.line("rule")
    if code not in RULES:
        fields.fault("rule", "there is no such rule")
    for key in ("fix", "page"):
        fields.line(key, most=TEXT)
    return Finding(
        rule=RULES.get(code, AuditRule.UNREADABLE),
        package=fields.line("package", most=TEXT),
        where=fields.line("path", most=TEXT),
        detail=fields.line("detail", most=TEXT),
        names=tuple(fields.strings("names", most=NAMES, length=NAME)),
    )


def renewed(audit: Audit, lock: Lock) -> Audit:
    """Return the same findings from the wheels of that lock with the reports that are known now."""
    own = [finding for finding in audit.findings if finding.rule is not AuditRule.KNOWN]
    return replace(audit, findings=_with_warnings(own, lock))
