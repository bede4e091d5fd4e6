"""The commands that run environments: `metalock smoke` and `metalock verify`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from metalock.adapters.console import make_reporter, out, say
from metalock.adapters.files import write_text
from metalock.errors import UsageError
from metalock.matrix.expand import require_available, select
from metalock.options import PlatformType, exits_with_its_code, with_matrix, with_selection
from metalock.platforms import Platform
from metalock.workspace import open_workspace


@click.command("smoke")
@with_matrix
@click.argument("prefix", type=click.Path(file_okay=False, exists=True, path_type=Path))
@click.option("--env", metavar="NAME", help="What it was built from.  [default: its folder's name]")
@click.option("--platform", type=PlatformType(), help="[default: this machine's]")
@click.option(
    "--only",
    multiple=True,
    metavar="AREA",
    help="Only this area or capability; repeatable.",
)
@click.option("--record", is_flag=True, help="Write the result to smoke.json beside the lock.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
@exits_with_its_code
def smoke_command(
    matrix_file: Path,
    prefix: Path,
    env: str | None,
    platform: Platform | None,
    only: tuple[str, ...],
    *,
    record: bool,
    as_json: bool,
) -> int:
    """What works in the environment at PREFIX? Tries every capability of the contract inside it.

    With the environment's own Python, and pytest from outside: nothing is installed into it or written there.
    Exit 1 if anything is other than the contract says.
    """
    from metalock.build.commands import this_platform
    from metalock.build.prefix import backend_of
    from metalock.smoke.commands import SmokeOptions, smoke_prefix

    if only and record:
        raise UsageError("--record goes without --only: the evidence is about the whole contract")
    workspace = open_workspace(matrix_file)
    name = env or prefix.resolve().name
    (cell,) = select(workspace.cells(), platforms=(this_platform(platform),), envs=(name,))
    date = datetime.now(UTC).date().isoformat()
    options = SmokeOptions(date=date, only=only, record=record, as_json=as_json)
    return smoke_prefix(workspace, cell, prefix, backend_of(prefix), options, make_reporter())


@click.command("verify")
@with_matrix
@with_selection
@click.option("--again", is_flag=True, help="Also what has evidence for its present lock.")
@click.option(
    "--backend", type=click.Choice(["conda", "venv"]), help="See `metalock build`.  [default: conda]"
)
@click.option(
    "--python",
    "pythons",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="PATH",
    help="With --backend venv: an interpreter; repeatable, one for each Python.  [default: those on PATH]",
)
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="How many at once.")
@click.option("--keep", is_flag=True, help="Leave the environments in .envs/ beside the matrix.")
@exits_with_its_code
def verify_command(
    matrix_file: Path,
    platforms: tuple[Platform, ...],
    envs: tuple[str, ...],
    pythons: tuple[Path, ...],
    backend: str | None,
    *,
    again: bool,
    jobs: int,
    keep: bool,
) -> int:
    """Build locked environments on this machine, try every capability in each, and record what works.

    The evidence goes to smoke.json beside each lock: what each capability came to, what this machine is
    (no name, user or path), and the day. An environment that fails doesn't end the run; what has evidence
    for its present lock isn't run again.

    \b
    metalock verify --env tf2.18-py3.11
    metalock verify --backend venv --python /usr/bin/python3.11 --env tf2.18-py3.11
    """
    from metalock.build.commands import PREFIXES, this_platform
    from metalock.build.model import Backend
    from metalock.verify import VerifyOptions, interpreters_for, verify_matrix

    workspace = open_workspace(matrix_file)
    own = [this_platform(platform) for platform in platforms] or [this_platform(None)]
    cells = require_available(select(workspace.cells(), platforms=own, envs=envs))
    kind = Backend(backend) if backend else (Backend.VENV if pythons else Backend.CONDA)
    if pythons and kind is Backend.CONDA:
        raise UsageError("--python goes with --backend venv: the conda part brings its own interpreter")
    options = VerifyOptions(
        backend=kind,
        pythons=interpreters_for(cells, pythons) if kind is Backend.VENV else {},
        date=datetime.now(UTC).date().isoformat(),
        folder=workspace.root / PREFIXES,
        keep=keep,
        jobs=jobs,
    )
    return verify_matrix(workspace, cells, options, make_reporter(), again=again)


@click.command("answers")
@with_matrix
@click.option(
    "--update", type=click.Path(dir_okay=False, path_type=Path), help="Write the page into this file."
)
@exits_with_its_code
def answers_command(matrix_file: Path, update: Path | None) -> int:
    """What works in which TensorFlow: a Markdown page from the contract and the recorded evidence.

    \b
    metalock answers --update docs/answers.md
    """
    from metalock.answers.gather import answers_text

    text = answers_text(open_workspace(matrix_file))
    if update is None:
        out(text.rstrip())
        return 0
    say(f"{update}: {'written' if write_text(update, text) else 'up to date'}")
    return 0


@click.command("ci-matrix")
@with_matrix
@with_selection
@click.option(
    "--tier",
    type=click.Choice(["cpu", "gpu"]),
    default="cpu",
    show_default=True,
    help="gpu: what has Metal on Apple silicon, for Macs that can compute with it.",
)
@click.option("--again", is_flag=True, help="Also what has evidence for its present lock.")
@click.option(
    "--max-jobs",
    type=click.IntRange(min=len(Platform)),
    default=256,
    show_default=True,
    help="Where there are more environments, several share a job.",
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
    """The job matrix of GitHub Actions, as JSON, for what has no evidence for its present lock.

    A job has the fields platform, env, envs (all that it verifies, with spaces between), python and runner.
    """
    from metalock.ci import Wanted, cells_to_verify, job_matrix

    workspace = open_workspace(matrix_file)
    cells = require_available(select(workspace.cells(), platforms=platforms, envs=envs))
    todo = cells_to_verify(workspace, cells, Wanted(tier), again=again)
    out(json.dumps(job_matrix(todo, Wanted(tier), max_jobs)))
    say(f"{len(todo)} of {len(cells)} environments to verify")
    return 0
