"""`metalock list`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from metalock.adapters.console import out, say
from metalock.adapters.files import write_text
from metalock.adapters.reading import TEXT, read_bytes, read_text
from metalock.commands.options import (
    NeedsType,
    SystemType,
    exits_with_its_code,
    refuse_together,
    with_matrix,
    with_selection,
)
from metalock.errors import NothingSelectedError, UsageError
from metalock.matrix.expand import select
from metalock.matrix.model import Cell
from metalock.overview.query import NEEDS, EnvStatus, Filter, ask, reasons, to_json, to_rows, to_text
from metalock.overview.readme import BEGIN, END, has_table, to_markdown, with_table
from metalock.parsing import with_ends_of
from metalock.platforms import Platform
from metalock.workspace import open_workspace


@click.command("list", short_help="Show the environments, and how much each was tested.")
@with_matrix
@with_selection
@click.option("--python", "pythons", multiple=True, metavar="3.N", help="Only this Python; repeatable.")
@click.option(
    "--needs",
    type=NeedsType(),
    default=(),
    metavar="A,B",
    help=f"Only environments that have these: {', '.join(NEEDS)} or a column.",
)
@click.option("--macos", type=SystemType(), metavar="VERSION", help="Only what runs on this macOS.")
@click.option("--glibc", type=SystemType(), metavar="VERSION", help="Only what runs on this glibc.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of environments.")
@click.option("--markdown", is_flag=True, help="Print a Markdown table with a row for each stack.")
@click.option(
    "--update",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Write the table of all environments into this file, between its markers.",
)
@exits_with_its_code
def list_command(
    matrix_file: Path,
    platforms: tuple[Platform, ...],
    envs: tuple[str, ...],
    pythons: tuple[str, ...],
    needs: tuple[str, ...],
    macos: str | None,
    glibc: str | None,
    *,
    as_json: bool,
    markdown: bool,
    update: Path | None,
) -> int:
    """Show the environments of the matrix, newest first.

    \b
    metalock list --python 3.12 --platform osx-arm64 --needs metal,tfio --macos 13
    """
    from metalock.overview.tiers import known_of

    refuse_together({"--json": as_json, "--markdown": markdown, "--update": update})
    filters = {"--platform": platforms, "--env": envs, "--python": pythons, "--needs": needs}
    for name, value in {**filters, "--macos": macos, "--glibc": glibc}.items():
        refuse_together({"--update": update, name: value})
    workspace = open_workspace(matrix_file)
    cells = list(workspace.cells())
    states = {cell.name: workspace.state(cell) for cell in cells if cell.unavailable is None}
    known = known_of(workspace, states.values())
    if update is not None:
        return update_table(update, cells, known)
    question = Filter(platforms=platforms, pythons=pythons, needs=needs, macos=macos, glibc=glibc)
    answer = ask(select(cells, envs=envs), question)
    if not answer:
        raise NothingSelectedError(
            "no environment matches all filters",
            hint="Leave out a filter, or run `metalock list` to see all environments.",
        )
    if markdown:
        out(to_markdown(answer, known))
        return 0
    standings = [str(states[cell.name].standing) if cell.name in states else "-" for cell in answer]
    if as_json:
        found = zip(answer, standings, strict=True)
        rows = [to_json(cell, standing, known.get(cell.name)) for cell, standing in found]
        out(json.dumps(rows, indent=2))
        return 0
    out(to_text(to_rows(answer, standings, known)))
    say("* default of its platform")
    for reason in reasons(answer):
        say(f"unavailable: {reason}")
    return 0


def update_table(path: Path, cells: list[Cell], known: dict[str, EnvStatus]) -> int:
    """Write the table between the document's markers."""
    text = read_text(path)
    if not has_table(text):
        raise UsageError(
            f"{path} has no markers for the table",
            hint=f"Add the lines {BEGIN} and {END} where the table belongs.",
        )
    new = with_ends_of(read_bytes(path, TEXT), with_table(text, cells, known))
    changed = write_text(path, new)
    say(f"{path}: {'table written' if changed else 'table up to date'}")
    return 0
