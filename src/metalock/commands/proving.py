"""Environments made and tried: `build`, `smoke`, `verify`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from metalock.adapters.console import make_reporter
from metalock.commands.options import PlatformType, exits_with_its_code, with_matrix, with_selection
from metalock.errors import UsageError
from metalock.matrix.expand import require_available, select
from metalock.platforms import Platform
from metalock.workspace import open_workspace


@click.command("build")
@with_matrix
@click.argument("env", required=False)
@click.option(
    "--platform",
    type=PlatformType(),
    help="The lock's platform.  [default, and the only one: this machine's]",
)
@click.option(
    "--prefix",
    type=click.Path(path_type=Path),
    help="Where to.  [default: .envs/PLATFORM/ENV beside the matrix, which git is to ignore]",
)
@click.option(
    "--backend",
    type=click.Choice(["conda", "venv"]),
    help="venv: the pip part alone, on the interpreter that --python names.  [default: conda]",
)
@click.option(
    "--python",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="The interpreter for --backend venv, of the lock's minor version.",
)
@click.option(
    "--check",
    "checked",
    type=click.Path(path_type=Path),
    metavar="PREFIX",
    help="Build nothing: hold this environment against its lock, whatever client made it.",
)
@click.option("--keep-failed", is_flag=True, help="Leave a prefix that failed where it is.")
@click.option("--json", "as_json", is_flag=True, help="The result as a JSON object.")
@exits_with_its_code
def build_command(
    matrix_file: Path,
    env: str | None,
    platform: Platform | None,
    prefix: Path | None,
    backend: str | None,
    python: Path | None,
    checked: Path | None,
    *,
    keep_failed: bool,
    as_json: bool,
) -> int:
    """Build ENV on this machine from its lock, and check that it is what was locked.

    The conda part is installed from the lock's own records, the pip part by hash: nothing is solved,
    and nothing is compiled. A build that fails or is interrupted leaves no prefix behind.

    \b
    metalock build tf2.18-py3.11
    metalock build tf2.18-py3.11 --backend venv --python /usr/bin/python3.11
    metalock build --check PREFIX
    """
    from metalock.prefix.commands import (
        build_env,
        check_env,
        choose,
        choose_for,
        default_prefix,
        this_platform,
    )
    from metalock.prefix.model import Backend, BuildRequest

    workspace = open_workspace(matrix_file)
    own = this_platform(platform)
    if checked is not None:
        if prefix or backend or python or keep_failed:
            raise UsageError("--check goes with none of --prefix, --backend, --python, --keep-failed")
        place = checked.resolve()
        chosen = choose(workspace, env, own) if env else choose_for(workspace, place, own)
        return check_env(place, chosen, make_reporter(), as_json=as_json)
    if env is None:
        raise UsageError(
            "ENV is missing", hint="`metalock list` shows them all; --check PREFIX finds it out."
        )
    chosen = choose(workspace, env, own)
    kind = Backend(backend) if backend else (Backend.VENV if python else Backend.CONDA)
    if python is not None and kind is Backend.CONDA:
        raise UsageError("--python goes with --backend venv: the conda part brings its own interpreter")
    request = BuildRequest(
        lock=chosen.lock,
        env=env,
        prefix=(prefix or default_prefix(workspace, env, own)).resolve(),
        backend=kind,
        python=python,
        keep_failed=keep_failed,
        variables=chosen.variables,
    )
    return build_env(request, make_reporter(), as_json=as_json)


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
    from metalock.prefix.commands import this_platform
    from metalock.prefix.read import backend_of
    from metalock.smoke.commands import SmokeOptions, smoke_prefix

    if only and record:
        raise UsageError("--record goes without --only: the evidence is about the whole contract")
    workspace = open_workspace(matrix_file)
    prefix = prefix.absolute()
    name = env or prefix.name
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
    from metalock.prefix.commands import PREFIXES, this_platform
    from metalock.prefix.model import Backend
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
