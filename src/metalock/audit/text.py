"""Results of the audit for a terminal, and as JSON values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from metalock.audit.result import MEANING, Verdict, finding_dict
from metalock.audit.run import Audited

SHOWN = 4
"""Names of a finding that a line repeats; audit.json has all of them."""


def lines_of(audited: Audited) -> Iterator[str]:
    """Yield the verdict, then each finding with the first of its names."""
    audit = audited.audit
    yield f"{audited.cell.name}: {audit.verdict}, {audit.wheels} wheels, {audit.binaries} binaries"
    for finding in audit.findings:
        level = "warning" if finding.rule.is_warning else "error"
        where = f"{finding.package}, {finding.where}" if finding.where else finding.package
        yield f"  {finding.rule.code} {level}: {where}: {finding.detail}"
        for name in finding.names[:SHOWN]:
            yield f"      {name}"
        if len(finding.names) > SHOWN:
            yield f"      and {len(finding.names) - SHOWN} more"
        if not finding.rule.is_warning:
            yield f"      fix: {finding.rule.fix} ({finding.rule.page})"


def counts_line(results: Sequence[Audited]) -> str:
    """Return how many environments have each verdict, and what the best one means."""
    counts = {verdict: sum(1 for each in results if each.audit.verdict is verdict) for verdict in Verdict}
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count) + f" ({MEANING})"


def to_json(audited: Audited) -> dict[str, object]:
    """Return the result of one environment as JSON values."""
    return {
        "env": audited.cell.env,
        "platform": str(audited.cell.platform),
        "lock": audited.audit.lock,
        "verdict": str(audited.audit.verdict),
        "findings": [finding_dict(finding) for finding in audited.audit.findings],
    }
