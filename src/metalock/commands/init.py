"""`metalock init`."""

from __future__ import annotations

from pathlib import Path

import click

from metalock.adapters.console import say
from metalock.commands.options import exits_with_its_code


@click.command("init", short_help="Write a small matrix.toml to start from.")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path())
@exits_with_its_code
def init_command(folder: Path) -> int:
    """Write a small working matrix.toml, templates and a Makefile into FOLDER (default: here)."""
    from metalock.scaffold import write_starter

    for path in write_starter(folder):
        say(f"wrote {path}")
    where = "" if folder == Path() else f"in {folder}, "
    say(f"next: {where}run `metalock list`, then `metalock env`")
    return 0
