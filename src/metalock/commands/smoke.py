"""`metalock smoke`."""

from __future__ import annotations

from pathlib import Path

import click

from metalock.adapters.console import make_reporter, out, say
from metalock.commands.options import PlatformType, exits_with_its_code, today, with_matrix
from metalock.errors import UsageError
from metalock.matrix.expand import select
from metalock.platforms import Platform
from metalock.workspace import open_workspace


@click.command("smoke", short_help="Try in an environment what works: TensorFlow, Keras, GPU, I/O.")
@with_matrix
@click.argument("prefix", type=click.Path(file_okay=False, exists=True, path_type=Path))
@click.option(
    "--env", metavar="NAME", help="The environment that PREFIX was built from.  [default: the folder's name]"
)
@click.option(
    "--platform",
    type=PlatformType(),
    help="The platform of the lock.  [default, and the only one possible: this machine's]",
)
@click.option("--only", multiple=True, metavar="AREA", help="Try only this area or capability; repeatable.")
@click.option("--record", is_flag=True, help="Write the result to smoke.json next to the lock.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
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
    """Try every capability of the contract in the environment at PREFIX.

    Uses the environment's own Python, and pytest from outside: nothing is installed into it or written
    there. Exits with 1 if an outcome is not what the contract expects.
    """
    from metalock.adapters.settings import read_settings
    from metalock.evidence.model import Outcome, counts_of
    from metalock.evidence.text import evidence_text
    from metalock.prefix.choose import this_platform
    from metalock.prefix.read import backend_of
    from metalock.smoke.attempt import summary_lines, try_prefix
    from metalock.smoke.setup import SmokeRequest

    if only and record:
        raise UsageError(
            "--record cannot be used with --only: evidence is about the whole contract",
            hint="Leave out one of them.",
        )
    workspace = open_workspace(matrix_file)
    prefix = prefix.absolute()
    cells = list(workspace.cells())
    if env is None and prefix.name not in {cell.env for cell in cells}:
        raise UsageError(
            f"no environment of the matrix is named {prefix.name!r}, as the folder is",
            hint="Name the environment that it was built from with --env; `metalock list` shows all.",
        )
    (cell,) = select(cells, platforms=(this_platform(platform),), envs=(env or prefix.name,))
    lock = workspace.state(cell).lock
    if lock is None:
        raise UsageError(f"{cell.name} is not locked", hint="Run `metalock env` to lock it.")
    request = SmokeRequest(
        cell=cell,
        lock=lock,
        prefix=prefix,
        python=prefix / "bin" / "python",
        backend=backend_of(prefix),
        date=today().isoformat(),
        settings=read_settings(),
        only=only,
    )
    evidence = try_prefix(workspace, request, make_reporter(), record=record)
    if as_json:
        out(evidence_text(evidence, lock).rstrip())
    for line in summary_lines(evidence, lock):
        say(line)
    return 1 if Outcome.UNEXPECTED in counts_of(evidence.results(lock)) else 0
