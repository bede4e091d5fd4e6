"""The commands that prove a lock on this machine."""

from __future__ import annotations

from pathlib import Path

import click

from metalock.adapters.console import make_reporter
from metalock.errors import UsageError
from metalock.options import PlatformType, exits_with_its_code, with_matrix
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
    from metalock.build.commands import (
        build_env,
        check_env,
        choose,
        choose_for,
        default_prefix,
        this_platform,
    )
    from metalock.build.model import Backend, BuildRequest

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
