"""Lock the matrix, and see whether it still stands: `env`, `check`, `diff`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click
from packaging.utils import canonicalize_name

from metalock.adapters.console import make_reporter, out, say
from metalock.checks.files import check_answers, check_drift, check_readme
from metalock.commands.options import exits_with_its_code, with_matrix, with_selection
from metalock.findings import Finding
from metalock.lock.model import Upgrade
from metalock.locking.run import lock_matrix, require_locked
from metalock.locking.summary import next_step, outcome_lines
from metalock.matrix.expand import require_available, select
from metalock.platforms import Platform
from metalock.workspace import open_workspace

EVERYTHING = "*"


@click.command("env")
@with_matrix
@with_selection
@click.option(
    "--upgrade",
    is_flag=False,
    flag_value=EVERYTHING,
    multiple=True,
    metavar="[PACKAGE]",
    help="Let this package's locked version move, the others hold; without a name, all move.",
)
@click.option(
    "--check", is_flag=True, help="Write nothing: say what is stale or edited by hand, and exit 1 if any is."
)
@click.option(
    "--offline",
    is_flag=True,
    help="Don't ask the conda channel: the records in the committed locks are enough to solve again. "
    "The pip part asks its index or, where that can't be reached, uv's cache.",
)
@click.option(
    "--jobs", type=click.IntRange(min=1), help="Resolutions side by side.  [default: number of cores]"
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
    for `conda create --file` then `pip install`, and lock.json, which they are rendered from.
    Locked versions stay while they satisfy the matrix.
    """
    workspace = open_workspace(matrix_file)
    cells = select(workspace.cells(), platforms=platforms, envs=envs)
    available = require_available(cells)
    prune = () if envs else platforms or tuple(Platform)
    if check:
        return show_findings(list(check_drift(workspace, available, prune)), as_json=False)
    plan = Upgrade(everything=EVERYTHING in upgrade, packages=tuple(canonicalize_name(n) for n in upgrade))
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


@click.command("check")
@with_matrix
@with_selection
@click.option("--json", "as_json", is_flag=True, help="A JSON array of findings.")
@click.option("--offline", is_flag=True, help="Files only: leave the index alone.")
@click.option(
    "--jobs", type=click.IntRange(min=1), help="Resolutions side by side.  [default: number of cores]"
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
    """Is the matrix still true? Exit 1 with findings, each with its code and fix.

    Files: what is stale, edited by hand, or not in the matrix. Pins: whether those of a cell
    that isn't locked agree with each other and with the wheels' metadata. Index: whether
    something called unavailable has appeared, and every locked wheel is still there, with
    its hash and not yanked.
    """
    workspace = open_workspace(matrix_file)
    cells = select(workspace.cells(), platforms=platforms, envs=envs)
    prune = () if envs else platforms or tuple(Platform)
    from metalock.answers.load import answers_text
    from metalock.overview.tiers import known_of

    every = (workspace.state(cell) for cell in workspace.cells() if cell.unavailable is None)
    known = known_of(workspace, every)
    findings = [*check_drift(workspace, cells, prune), *check_readme(workspace, known)]
    findings += check_answers(workspace, lambda: answers_text(workspace))
    if not offline:
        from metalock.checks.index import check_index

        findings += check_index(workspace, cells, jobs=jobs or os.cpu_count() or 1, reporter=make_reporter())
    return show_findings(findings, as_json=as_json)


def show_findings(findings: list[Finding], *, as_json: bool) -> int:
    """Print them; the exit code."""
    if as_json:
        out(json.dumps([finding.to_dict() for finding in findings], indent=2))
    else:
        for finding in findings:
            out(finding.to_text())
        plural = "" if len(findings) == 1 else "s"
        say(f"{len(findings) or 'no'} finding{plural}")
    return 1 if findings else 0


@click.command("diff")
@with_matrix
@click.argument("revision", default="HEAD")
@exits_with_its_code
def diff_command(matrix_file: Path, revision: str) -> int:
    """What changed in the locks since a git REVISION (default: the last commit), as a Markdown list.

    Each line is a package's old and new version, and the environments it changed in.
    """
    from metalock.locking.diff import diff_lines, locks_at

    workspace = open_workspace(matrix_file)
    new = {f"{lock.platform}/{env}": lock for env, lock in workspace.locks()}
    lines = list(diff_lines(locks_at(workspace, revision), new))
    out("\n".join(lines) if lines else "no lock has changed")
    return 0
