"""Told from the wheels: `audit`."""

from __future__ import annotations

from pathlib import Path

import click

from metalock.adapters.console import make_reporter
from metalock.commands.options import exits_with_its_code, with_matrix, with_selection
from metalock.errors import UsageError
from metalock.matrix.expand import require_available, select
from metalock.platforms import Platform
from metalock.workspace import open_workspace


@click.command("audit")
@with_matrix
@with_selection
@click.option("--again", is_flag=True, help="Also what has a result for its present lock.")
@click.option(
    "--grid",
    metavar="PLUGIN",
    help="Not the locks: all published TensorFlow releases since 2.6 against all of PLUGIN's.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="A JSON array of environments, or with --grid of libraries."
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="With --grid: write a Markdown page there, or with --json the JSON.",
)
@exits_with_its_code
def audit_command(
    matrix_file: Path,
    platforms: tuple[Platform, ...],
    envs: tuple[str, ...],
    *,
    again: bool,
    grid: str | None,
    as_json: bool,
    output: Path | None,
) -> int:
    """Can the locked environments load? Told from their wheels, on any machine.

    Reads every wheel (fetched once, kept as facts of some megabytes) and judges: architecture, the
    oldest system, whether each library and symbol is found, stubs, requirements. The result lies in
    audit.json beside the lock. "Loads" is not "works": docs/audit.md says what can't be seen this way.

    \b
    metalock audit --env tf2.18-py3.11
    metalock audit --grid tensorflow-metal --platform osx-arm64
    """
    from metalock.audit.commands import audit_locks, show_grid

    reporter = make_reporter()
    if output is not None and grid is None:
        raise UsageError("--output goes with --grid: the result of a lock lies in audit.json beside it")
    if grid is not None and (envs or len(platforms) > 1):
        raise UsageError("--grid takes one --platform and no --env: it compares releases, not locks")
    if grid is not None:
        platform = platforms[0] if platforms else Platform.OSX_ARM64
        return show_grid(grid, platform, as_json=as_json, output=output, reporter=reporter)
    workspace = open_workspace(matrix_file)
    cells = require_available(select(workspace.cells(), platforms=platforms, envs=envs))
    return audit_locks(workspace, cells, again=again, as_json=as_json, reporter=reporter)
