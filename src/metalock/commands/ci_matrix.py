"""`metalock ci-matrix`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from metalock.adapters.console import out, say
from metalock.commands.options import exits_with_its_code, with_matrix, with_selection
from metalock.matrix.expand import require_available, select
from metalock.platforms import Platform
from metalock.workspace import open_workspace


@click.command("ci-matrix", short_help="Print the jobs of GitHub Actions that verify what is untested.")
@with_matrix
@with_selection
@click.option(
    "--tier",
    type=click.Choice(["cpu", "gpu"]),
    default="cpu",
    show_default=True,
    help="gpu: environments with Metal on Apple silicon, for Macs whose GPU can compute.",
)
@click.option("--again", is_flag=True, help="Include environments that already have results.")
@click.option(
    "--max-jobs",
    type=click.IntRange(min=len(Platform)),
    default=256,
    show_default=True,
    help="If there are more environments, several share a job.",
)
@exits_with_its_code
def ci_matrix_command(
    matrix_file: Path,
    platforms: tuple[Platform, ...],
    envs: tuple[str, ...],
    tier: str,
    *,
    again: bool,
    max_jobs: int,
) -> int:
    """Print the job matrix of GitHub Actions, as JSON, for environments without evidence for their lock.

    A job has the fields platform, env, envs (all that it verifies, separated by spaces), python and runner.
    """
    from metalock.ci import Wanted, cells_to_verify, job_matrix

    workspace = open_workspace(matrix_file)
    cells = require_available(select(workspace.cells(), platforms=platforms, envs=envs))
    todo = cells_to_verify(workspace, cells, Wanted(tier), again=again)
    out(json.dumps(job_matrix(todo, Wanted(tier), max_jobs)))
    say(f"{len(todo)} of {len(cells)} environments to verify")
    return 0
