"""The commands that run an environment: `metalock smoke`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from metalock.adapters.console import make_reporter
from metalock.errors import UsageError
from metalock.matrix.expand import select
from metalock.options import PlatformType, exits_with_its_code, with_matrix
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
