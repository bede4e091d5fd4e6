"""`metalock export`."""

from __future__ import annotations

from pathlib import Path

import click

from metalock.adapters.console import make_reporter, say
from metalock.commands.options import exits_with_its_code, with_matrix
from metalock.matrix.expand import require_available, select
from metalock.workspace import open_workspace


@click.group("export", short_help="Write locks in other tools' formats.")
def export_group() -> None:
    """Write the locks in other tools' formats."""


@export_group.command("conda-lock", short_help="Write a conda-lock.yml with all the platforms of ENV.")
@with_matrix
@click.argument("env")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write; micromamba requires a name that ends in -lock.yml.  "
    "[default: exports/ENV.conda-lock.yml next to the matrix]",
)
@exits_with_its_code
def export_conda_lock(matrix_file: Path, env: str, output: Path | None) -> int:
    """Write one conda-lock.yml with all the platforms of ENV.

    For `conda-lock install`, `conda-lock render` and `micromamba create -f`. It holds the
    URLs that your index gives for the wheels now, so do not commit it.
    """
    from metalock.export.conda_lock import write_conda_lock

    workspace = open_workspace(matrix_file)
    chosen = select(workspace.cells(), envs=(env,))
    cells = require_available(chosen)
    path = output or workspace.root / "exports" / f"{env}.conda-lock.yml"
    changed = write_conda_lock(workspace, cells, path, reporter=make_reporter())
    for cell in chosen:
        if cell.unavailable is not None:
            say(f"left out: {cell.name}: {cell.unavailable}")
    say(f"{path}: {'written' if changed else 'up to date'}: {', '.join(cell.platform for cell in cells)}")
    return 0
