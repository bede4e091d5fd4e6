"""What every benchmark gives: rows of a table."""

from __future__ import annotations

Rows = list[dict[str, object]]


def skipped(what: str, why: str) -> dict[str, object]:
    """A row for what can't be measured on this machine."""
    return {"what": what, "measured": "skipped", "target": why}
