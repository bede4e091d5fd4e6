"""`metalock answers`."""

from __future__ import annotations

from pathlib import Path

import click

from metalock.adapters.console import out, say
from metalock.adapters.files import write_text
from metalock.commands.options import exits_with_its_code, with_matrix
from metalock.workspace import open_workspace


@click.command("answers", short_help="Write the page of what works in which version.")
@with_matrix
@click.option(
    "--update", type=click.Path(dir_okay=False, path_type=Path), help="Write the page into this file."
)
@exits_with_its_code
def answers_command(matrix_file: Path, update: Path | None) -> int:
    """Print what works in which TensorFlow: a Markdown page from the contract and the recorded evidence.

    \b
    metalock answers --update docs/answers.md
    """
    from metalock.answers.load import answers_text

    text = answers_text(open_workspace(matrix_file))
    if update is None:
        out(text.rstrip())
        return 0
    say(f"{update}: {'written' if write_text(update, text) else 'up to date'}")
    return 0
