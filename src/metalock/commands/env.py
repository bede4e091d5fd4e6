"""`metalock env`."""

from __future__ import annotations

import os
from pathlib import Path

import click
from packaging.utils import canonicalize_name

from metalock.adapters.console import make_reporter, say
from metalock.checks.files import check_drift
from metalock.commands.check import show_findings
from metalock.commands.options import (
    exits_with_its_code,
    refuse_together,
    today,
    with_matrix,
    with_selection,
)
from metalock.lock.model import Upgrade
from metalock.locking.run import lock_matrix, require_locked
from metalock.locking.summary import next_step, outcome_lines
from metalock.matrix.expand import require_available, select
from metalock.matrix.parse import require_past_cutoff
from metalock.platforms import Platform
from metalock.workspace import open_workspace

EVERYTHING = "*"


@click.command("env", short_help="Lock the matrix: write envs/<platform>/<env>/.")
@with_matrix
@with_selection
@click.option(
    "--upgrade",
    is_flag=False,
    flag_value=EVERYTHING,
    multiple=True,
    metavar="[PACKAGE]",
    help="Upgrade only this package; without a name, upgrade all.",
)
@click.option(
    "--check",
    is_flag=True,
    help="Write nothing: print what is stale or edited by hand, and exit with 1 if there is any.",
)
@click.option(
    "--offline",
    is_flag=True,
    help="Solve without the conda channel, from the records in the committed locks. "
    "The pip part uses its index or, if that cannot be reached, uv's cache.",
)
@click.option(
    "--jobs", type=click.IntRange(min=1), help="Resolutions at the same time.  [default: number of cores]"
)
@exits_with_its_code
def env_command(
    matrix_file: Path,
    platforms: tuple[Platform, ...],
    envs: tuple[str, ...],
    upgrade: tuple[str, ...],
    *,
    check: bool,
    offline: bool,
    jobs: int | None,
) -> int:
    """Lock the matrix: solve what is stale, and write envs/<platform>/<env>/.

    Each folder holds environment.yml for `conda env create -f`, conda.lock and requirements.txt
    for `conda create --file` then `pip install`, and lock.json, from which they are rendered.
    Locked versions stay as they are while they satisfy the matrix.

    \b
    metalock env --platform osx-arm64
    metalock env --env tf2.18-py3.11 --upgrade numpy
    """
    refuse_together({"--check": check, "--upgrade": upgrade})
    packages = [name for name in upgrade if name != EVERYTHING]
    refuse_together({"--upgrade": len(packages) < len(upgrade), "--upgrade PACKAGE": packages})
    workspace = open_workspace(matrix_file)
    require_past_cutoff(workspace.matrix, today(), matrix_file.name)
    cells = select(workspace.cells(), platforms=platforms, envs=envs)
    available = require_available(cells)
    prune = () if envs else platforms or tuple(Platform)
    if check:
        return show_findings(list(check_drift(workspace, available, prune)), as_json=False)
    plan = Upgrade(everything=EVERYTHING in upgrade, packages=tuple(map(canonicalize_name, packages)))
    require_locked(workspace, available, plan)
    outcome = lock_matrix(
        workspace,
        available,
        upgrade=plan,
        prune=prune,
        offline=offline,
        jobs=jobs or os.cpu_count() or 1,
        reporter=make_reporter(),
    )
    every = list(workspace.cells())
    working = [*outcome.locked, *outcome.rendered, *outcome.current]
    if outcome.failed:
        working += [cell.name for cell in workspace.current_cells()]
    for line in outcome_lines(outcome, every, working):
        say(line)
    step = next_step(workspace, available)
    if step and not outcome.failed:
        say(step)
    return outcome.exit_code
