"""Checks of `envs/`, the README and the page of answers against the matrix; no network is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date

from metalock.adapters.reading import read_text
from metalock.findings import CheckRule, Finding
from metalock.matrix.model import Cell
from metalock.overview.query import EnvStatus
from metalock.overview.readme import has_table, with_table
from metalock.platforms import Platform
from metalock.records import RecordError, parse_table, table_text
from metalock.workspace import RECORDS_FIX, Standing, Workspace

README = "README.md"
ANSWERS = "docs/answers.md"
_DRIFT = {
    Standing.MISSING: (CheckRule.MISSING, "Run `metalock env` to lock it."),
    Standing.STALE: (CheckRule.STALE, "Run `metalock env` to lock it again."),
    Standing.EDITED: (CheckRule.EDITED, "Run `metalock env` to render it again."),
    Standing.BROKEN: (CheckRule.BROKEN, "Run `metalock env` to lock it again."),
}


def check_drift(
    workspace: Workspace, cells: Sequence[Cell], orphans_of: Sequence[Platform]
) -> Iterator[Finding]:
    """Yield a finding for each stale or missing environment, and each folder that no cell accounts for."""
    for cell in cells:
        if cell.unavailable is not None:
            continue
        state = workspace.state(cell)
        if state.standing in _DRIFT:
            rule, fix = _DRIFT[state.standing]
            yield Finding(rule=rule, where=f"envs/{cell.name}", detail=state.reason, fix=fix)
    yield from _check_table(workspace)
    for folder in workspace.orphans(orphans_of):
        yield Finding(
            rule=CheckRule.ORPHAN,
            where=folder.relative_to(workspace.root).as_posix(),
            detail="no such environment in the matrix",
            fix="Run `metalock env` to remove it.",
        )


def _check_table(workspace: Workspace) -> Iterator[Finding]:
    """Yield a finding if `envs/records.json` is not as metalock writes it."""
    path = workspace.records_file
    if not path.exists():
        return
    text = read_text(path)
    try:
        detail = "" if table_text(parse_table(text)) == text else "it was changed by hand"
    except RecordError as error:
        detail = f"it cannot be read: {error}"
    if detail:
        yield Finding(
            rule=CheckRule.BROKEN,
            where=path.relative_to(workspace.root).as_posix(),
            detail=detail,
            fix=RECORDS_FIX,
        )


def check_readme(workspace: Workspace, known: Mapping[str, EnvStatus]) -> Iterator[Finding]:
    """Yield a finding if the README has a generated table and it is not up to date."""
    path = workspace.root / README
    text = read_text(path) if path.exists() else ""
    if has_table(text) and with_table(text, list(workspace.cells()), known) != text:
        yield Finding(
            rule=CheckRule.TABLE,
            where=README,
            detail="its table is not up to date",
            fix=f"Run `metalock list --update {README}`.",
        )


def check_evidence(known: Mapping[str, EnvStatus], today: date) -> Iterator[Finding]:
    """Yield the evidence that is not valid or of a day after `today`; `known` is by the cells' names."""
    for name, status in known.items():
        platform, _, env = name.partition("/")
        for fault in status.faults(today):
            command = f"metalock {fault.command} --again --platform {platform} --env {env}"
            yield Finding(
                rule=CheckRule.EVIDENCE,
                where=f"envs/{name}/{fault.file}",
                detail=fault.detail,
                fix=f"Remove the file, or make it again: `{command}`.",
            )


def check_answers(workspace: Workspace, render: Callable[[], str]) -> Iterator[Finding]:
    """Yield a finding if the page of answers exists but is not up to date."""
    path = workspace.root / ANSWERS
    if path.exists() and read_text(path) != render():
        yield Finding(
            rule=CheckRule.ANSWERS,
            where=ANSWERS,
            detail="it is not up to date with the contract and the evidence",
            fix=f"Run `metalock answers --update {ANSWERS}`.",
        )
