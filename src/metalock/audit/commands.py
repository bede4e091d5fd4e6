"""What `metalock audit` does: read, judge, show."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from metalock.adapters.cache import Cache
from metalock.adapters.console import out, say
from metalock.adapters.files import write_text
from metalock.adapters.index import PackageIndex
from metalock.adapters.settings import read_settings
from metalock.audit.grid import GridVerdict
from metalock.audit.grid_run import make_grid
from metalock.audit.gridtext import to_page, to_table
from metalock.audit.result import MEANING, Verdict, finding_dict
from metalock.audit.run import Audited, audit_cells
from metalock.audit.wheel_cache import WheelLibrary
from metalock.matrix.model import Cell
from metalock.platforms import Platform
from metalock.progress import Reporter
from metalock.workspace import Workspace

SHOWN = 4
"""Names of a finding that a line repeats; audit.json has them all."""


def audit_locks(
    workspace: Workspace, cells: Sequence[Cell], *, again: bool, as_json: bool, reporter: Reporter
) -> int:
    """Audit, print, and return 1 if any environment is not said to load."""
    results = []
    for audited in audit_cells(workspace, cells, open_library(reporter), again=again):
        results.append(audited)
        if not as_json:
            for line in lines_of(audited):
                out(line)
    if as_json:
        out(json.dumps([to_json(audited) for audited in results], indent=2))
    counts = {verdict: sum(1 for a in results if a.audit.verdict is verdict) for verdict in Verdict}
    say(", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count) + f" ({MEANING})")
    return 0 if counts[Verdict.LOADS] == len(results) else 1


def open_library(reporter: Reporter) -> WheelLibrary:
    """The wheels of this machine's index, and its cache."""
    settings = read_settings()
    cache = Cache(settings.cache)
    return WheelLibrary(PackageIndex(settings.index_url, cache), cache, reporter=reporter)


def lines_of(audited: Audited) -> Iterator[str]:
    """The verdict, then each finding with the first of its names."""
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


def to_json(audited: Audited) -> dict[str, object]:
    """The same as JSON values."""
    return {
        "env": audited.cell.env,
        "platform": str(audited.cell.platform),
        "lock": audited.audit.lock,
        "verdict": str(audited.audit.verdict),
        "findings": [finding_dict(finding) for finding in audited.audit.findings],
    }


def show_grid(
    plugin: str, platform: Platform, *, as_json: bool, output: Path | None, reporter: Reporter
) -> int:
    """Make the grid, print it, and return 4 if anything in it could not be read."""
    entries = make_grid(plugin, platform, reporter)
    text = json.dumps([entry.to_dict() for entry in entries], indent=1) + "\n"
    if output is not None:
        command = f"metalock audit --grid {plugin} --platform {platform} --output {output.as_posix()}"
        write_text(output, text if as_json else to_page(entries, command))
        say(f"wrote {output}")
    elif as_json:
        out(text.rstrip())
    else:
        out(to_table(entries))
    return 4 if any(entry.verdict is GridVerdict.UNREADABLE for entry in entries) else 0
