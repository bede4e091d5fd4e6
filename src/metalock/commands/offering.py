"""What the matrix offers, what is known of it, and what is left to try: `list`, `answers`, `ci-matrix`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from metalock.adapters.console import out, say
from metalock.adapters.files import read_text, write_text
from metalock.commands.options import NeedsType, SystemType, exits_with_its_code, with_matrix, with_selection
from metalock.errors import NothingSelectedError, UsageError
from metalock.matrix.expand import require_available, select
from metalock.matrix.model import Cell
from metalock.overview.query import NEEDS, EnvStatus, Filter, ask, reasons, to_json, to_rows, to_text
from metalock.overview.readme import has_table, to_markdown, with_table
from metalock.platforms import Platform
from metalock.workspace import open_workspace


@click.command("list")
@with_matrix
@with_selection
@click.option("--python", "pythons", multiple=True, metavar="3.N", help="Only this Python; repeatable.")
@click.option(
    "--needs",
    type=NeedsType(),
    default=(),
    metavar="A,B",
    help=f"Only where these can be had: {', '.join(NEEDS)} or a column.",
)
@click.option("--macos", type=SystemType(), metavar="VERSION", help="Only what runs on this macOS.")
@click.option("--glibc", type=SystemType(), metavar="VERSION", help="Only what runs on this glibc.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array of environments.")
@click.option("--markdown", is_flag=True, help="A Markdown table with a row for each stack.")
@click.option(
    "--update",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Write that table into this file, between its markers.",
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
    """Show what the matrix offers, newest first.

    \b
    metalock list --python 3.12 --platform osx-arm64 --needs metal,tfio --macos 13
    """
    from metalock.overview.tiers import known_of

    workspace = open_workspace(matrix_file)
    cells = list(workspace.cells())
    states = {cell.name: workspace.state(cell) for cell in cells if cell.unavailable is None}
    known = known_of(workspace, states.values())
    if update is not None:
        return update_table(update, cells, known)
    question = Filter(platforms=platforms, pythons=pythons, needs=needs, macos=macos, glibc=glibc)
    answer = ask(select(cells, envs=envs), question)
    if not answer:
        raise NothingSelectedError("no environment of the matrix fulfils all of that")
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
            f"{path} has no markers for the table", hint="They are HTML comments; see docs/design.md."
        )
    changed = write_text(path, with_table(text, cells, known))
    say(f"{path}: {'table written' if changed else 'table up to date'}")
    return 0


@click.command("answers")
@with_matrix
@click.option(
    "--update", type=click.Path(dir_okay=False, path_type=Path), help="Write the page into this file."
)
@exits_with_its_code
def answers_command(matrix_file: Path, update: Path | None) -> int:
    """What works in which TensorFlow: a Markdown page from the contract and the recorded evidence.

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


@click.command("ci-matrix")
@with_matrix
@with_selection
@click.option(
    "--tier",
    type=click.Choice(["cpu", "gpu"]),
    default="cpu",
    show_default=True,
    help="gpu: what has Metal on Apple silicon, for Macs that can compute with it.",
)
@click.option("--again", is_flag=True, help="Also what has evidence for its present lock.")
@click.option(
    "--max-jobs",
    type=click.IntRange(min=len(Platform)),
    default=256,
    show_default=True,
    help="Where there are more environments, several share a job.",
)
@exits_with_its_code
def ci_matrix_command(
    matrix_file: Path,
    platforms: tuple[Platform, ...],
    envs: tuple[str, ...],
    tier: str,
    *,
    again: bool,
    max_jobs: int,
) -> int:
    """The job matrix of GitHub Actions, as JSON, for what has no evidence for its present lock.

    A job has the fields platform, env, envs (all that it verifies, with spaces between), python and runner.
    """
    from metalock.ci import Wanted, cells_to_verify, job_matrix

    workspace = open_workspace(matrix_file)
    cells = require_available(select(workspace.cells(), platforms=platforms, envs=envs))
    todo = cells_to_verify(workspace, cells, Wanted(tier), again=again)
    out(json.dumps(job_matrix(todo, Wanted(tier), max_jobs)))
    say(f"{len(todo)} of {len(cells)} environments to verify")
    return 0
