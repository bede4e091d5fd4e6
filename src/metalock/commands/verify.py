"""`metalock verify`."""

from __future__ import annotations

from pathlib import Path

import click

from metalock.adapters.console import make_reporter, out
from metalock.commands.options import exits_with_its_code, today, with_matrix, with_selection
from metalock.errors import UsageError
from metalock.matrix.expand import require_available, select
from metalock.platforms import Platform
from metalock.workspace import open_workspace


@click.command("verify", short_help="Build environments, try what works in each, record the evidence.")
@with_matrix
@with_selection
@click.option("--again", is_flag=True, help="Run environments again that already have results.")
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
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How many environments to try at the same time.",
)
@click.option("--keep", is_flag=True, help="Leave the environments in .envs/ next to the matrix.")
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
    """Build locked environments on this machine, try every capability in each, and record the outcomes.

    The evidence is written to smoke.json next to each lock: the outcome of each capability, the kind of
    machine (no name, user or path), and the day. A failed environment does not end the run. Environments
    that already have evidence for their lock are not run again.

    \b
    metalock verify --env tf2.18-py3.11
    metalock verify --env tf2.18-py3.11 --backend venv --python /usr/bin/python3
    """
    from metalock.prefix.choose import PREFIXES, this_platform
    from metalock.prefix.model import Backend
    from metalock.verify import VerifyOptions, exit_code, interpreters_for, lines_of, verify_matrix

    workspace = open_workspace(matrix_file)
    own = [this_platform(platform) for platform in platforms] or [this_platform(None)]
    cells = require_available(select(workspace.cells(), platforms=own, envs=envs))
    kind = Backend(backend) if backend else (Backend.VENV if pythons else Backend.CONDA)
    if pythons and kind is Backend.CONDA:
        raise UsageError(
            "--python needs --backend venv: the conda part brings its own interpreter",
            hint="Use --backend venv, or leave out --python.",
        )
    options = VerifyOptions(
        backend=kind,
        pythons=interpreters_for(cells, pythons) if kind is Backend.VENV else {},
        date=today().isoformat(),
        folder=workspace.root / PREFIXES,
        keep=keep,
        jobs=jobs,
    )
    done = []
    for verified in verify_matrix(workspace, cells, options, make_reporter(), again=again):
        done.append(verified)
        out("\n".join(lines_of(verified)))
    return exit_code(done)
