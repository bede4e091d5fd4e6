"""`metalock build`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from metalock.adapters.console import make_reporter, out, say
from metalock.commands.options import PlatformType, exits_with_its_code, with_matrix
from metalock.errors import UsageError
from metalock.platforms import Platform
from metalock.workspace import open_workspace

if TYPE_CHECKING:
    from metalock.prefix.choose import Chosen
    from metalock.prefix.model import Built


@click.command("build", short_help="Make an environment from its lock on this machine, or check one.")
@with_matrix
@click.argument("env", required=False)
@click.option(
    "--platform",
    type=PlatformType(),
    help="The platform of the lock.  [default, and the only one possible: this machine's]",
)
@click.option(
    "--prefix",
    type=click.Path(path_type=Path),
    help="The folder to build in.  [default: .envs/PLATFORM/ENV next to the matrix, ignored by git]",
)
@click.option(
    "--backend",
    type=click.Choice(["conda", "venv"]),
    help="venv: install only the pip part, on the interpreter that --python names.  [default: conda]",
)
@click.option(
    "--python",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="The interpreter for --backend venv; its minor version has to be the lock's.",
)
@click.option(
    "--check",
    "checked",
    type=click.Path(path_type=Path),
    metavar="PREFIX",
    help="Build nothing: compare this environment with its lock, whatever tool made it.",
)
@click.option("--keep-failed", is_flag=True, help="Leave the prefix of a failed build in place.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as a JSON object.")
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

    --check reads files and runs nothing: names, versions, every recorded file, and files that belong to no
    package. It cannot see what is outside of PREFIX, such as the interpreter of a venv or the user's own
    site-packages, nor what compiled bytecode contains: docs/design.md, "Building", lists the limits.

    \b
    metalock build tf2.18-py3.11
    metalock build tf2.18-py3.11 --backend venv --python /usr/bin/python3.11
    metalock build --check PREFIX
    """
    from metalock.adapters.settings import read_settings
    from metalock.prefix.build import build
    from metalock.prefix.choose import choose, choose_for, default_prefix, this_platform
    from metalock.prefix.model import Backend, BuildRequest

    workspace = open_workspace(matrix_file)
    own = this_platform(platform)
    if checked is not None:
        if prefix or backend or python or keep_failed:
            raise UsageError(
                "--check cannot be used with --prefix, --backend, --python or --keep-failed",
                hint="--check builds nothing: leave these options out.",
            )
        place = checked.resolve()
        chosen = choose(workspace, env, own) if env else choose_for(workspace, place, own)
        return show_check(place, chosen, workspace.records(), as_json=as_json)
    if env is None:
        raise UsageError(
            "ENV is missing",
            hint="Run `metalock list` to see the environments, or check an existing one with --check PREFIX.",
        )
    kind = Backend(backend) if backend else (Backend.VENV if python else Backend.CONDA)
    if python is not None and kind is Backend.CONDA:
        raise UsageError(
            "--python needs --backend venv: the conda part brings its own interpreter",
            hint="Use --backend venv, or leave out --python.",
        )
    chosen = choose(workspace, env, own)
    if chosen.note:
        say(chosen.note)
    request = BuildRequest(
        lock=chosen.lock,
        env=env,
        prefix=(prefix or default_prefix(workspace, env, own)).resolve(),
        backend=kind,
        python=python,
        keep_failed=keep_failed,
        variables=chosen.variables,
        records=workspace.records(),
    )
    show_built(build(request, read_settings(), make_reporter()), chosen, as_json=as_json)
    return 0


def show_built(built: Built, chosen: Chosen, *, as_json: bool) -> None:
    """Print what was built, and how to use it."""
    from metalock.prefix.choose import backend_words, to_json
    from metalock.prefix.model import Backend

    if as_json:
        row = to_json(chosen.env, chosen.lock, built.prefix, built.backend, built.interpreter)
        out(json.dumps({**row, "seconds": round(built.seconds, 2), "up_to_date": not built.is_new}, indent=2))
        return
    done = f"built in {built.seconds:.1f} s" if built.is_new else "up to date"
    out(f"{chosen.lock.platform}/{chosen.env} {done}: {built.prefix}")
    out(backend_words(built.backend, built.interpreter, chosen.lock))
    if built.backend is Backend.CONDA:
        say(f"next: conda activate {shlex.quote(str(built.prefix))}")
    else:
        say(f"next: source {shlex.quote(str(built.prefix / 'bin' / 'activate'))}")


def show_check(prefix: Path, chosen: Chosen, records: Mapping[str, str], *, as_json: bool) -> int:
    """Compare an environment with its lock, print the findings, and return 1 if there are any."""
    from metalock.prefix.build import stretch
    from metalock.prefix.check import check_prefix, not_compared
    from metalock.prefix.choose import backend_words, to_json
    from metalock.prefix.read import read_prefix

    if chosen.note:
        say(chosen.note)
    found = read_prefix(prefix)
    with stretch(make_reporter(), f"checking {prefix}", is_noted=False):
        findings = check_prefix(chosen.lock, prefix, records=records)
    unknown = not_compared(chosen.lock, found, records)
    if as_json:
        row = to_json(chosen.env, chosen.lock, prefix, found.backend, found.python)
        rows = [finding.to_dict() for finding in findings]
        out(json.dumps({**row, "findings": rows, "not_compared": unknown}, indent=2))
        return 1 if findings else 0
    for finding in findings:
        out(finding.to_text())
    if unknown:
        say(f"compared with its own record only, not with its wheel or package: {', '.join(unknown)}")
    say(f"{prefix} {'is not' if findings else 'is'} {chosen.lock.platform}/{chosen.env} as locked")
    say(backend_words(found.backend, found.python, chosen.lock))
    return 1 if findings else 0
