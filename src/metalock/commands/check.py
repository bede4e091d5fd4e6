"""`metalock check`."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import click

from metalock.adapters.console import make_reporter, out, say
from metalock.commands.options import exits_with_its_code, today, with_matrix, with_selection
from metalock.findings import Finding
from metalock.matrix.expand import select
from metalock.matrix.parse import require_past_cutoff
from metalock.platforms import Platform
from metalock.workspace import open_workspace


@click.command("check", short_help="Check matrix.toml against envs/ and the package index.")
@with_matrix
@with_selection
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of findings.")
@click.option("--offline", is_flag=True, help="Check the files only, not the package index.")
@click.option(
    "--jobs", type=click.IntRange(min=1), help="Resolutions at the same time.  [default: number of cores]"
)
@exits_with_its_code
def check_command(
    matrix_file: Path,
    platforms: tuple[Platform, ...],
    envs: tuple[str, ...],
    *,
    as_json: bool,
    offline: bool,
    jobs: int | None,
) -> int:
    """Check matrix.toml against envs/ and the package index; exit with 1 if there are findings.

    \b
    Files   what is stale, edited by hand, or not in the matrix; evidence
            that is not valid
    Pins    in cells that are not locked: do they agree with each other and with
            the wheels' metadata?
    Index   packages called unavailable that have appeared; locked wheels that
            are gone, have another hash, or are yanked
    """
    from metalock.answers.load import answers_text
    from metalock.checks.files import check_answers, check_drift, check_evidence, check_readme
    from metalock.overview.tiers import known_of

    workspace = open_workspace(matrix_file)
    require_past_cutoff(workspace.matrix, today(), matrix_file.name)
    cells = select(workspace.cells(), platforms=platforms, envs=envs)
    prune = () if envs else platforms or tuple(Platform)
    every = (workspace.state(cell) for cell in workspace.cells() if cell.unavailable is None)
    known = known_of(workspace, every)
    findings = [
        *check_drift(workspace, cells, prune),
        *check_evidence({cell.name: known[cell.name] for cell in cells if cell.name in known}, today()),
        *check_readme(workspace, known),
        *check_answers(workspace, lambda: answers_text(workspace)),
    ]
    if not offline:
        from metalock.checks.index import check_index

        findings += check_index(workspace, cells, jobs=jobs or os.cpu_count() or 1, reporter=make_reporter())
    return show_findings(findings, as_json=as_json)


def show_findings(findings: Sequence[Finding], *, as_json: bool) -> int:
    """Print findings, and return the exit code that they mean."""
    if as_json:
        out(json.dumps([finding.to_dict() for finding in findings], indent=2))
    else:
        for finding in findings:
            out(finding.to_text())
        say(f"{len(findings) or 'no'} finding{'' if len(findings) == 1 else 's'}")
    return 1 if findings else 0
