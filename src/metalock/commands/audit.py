"""`metalock audit`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import click

from metalock.adapters.console import make_reporter, out, say
from metalock.adapters.files import write_text
from metalock.commands.options import exits_with_its_code, refuse_together, with_matrix, with_selection
from metalock.errors import UsageError
from metalock.matrix.expand import require_available, select
from metalock.platforms import Platform
from metalock.workspace import open_workspace


@click.command("audit", short_help="Read the wheels of locked environments: can they load?")
@with_matrix
@with_selection
@click.option("--again", is_flag=True, help="Audit environments again that already have results.")
@click.option(
    "--grid",
    metavar="PLUGIN",
    help="Compare all TensorFlow releases since 2.6 with all releases of PLUGIN, instead of the locks.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print a JSON array of environments, or with --grid of libraries."
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="With --grid: write a Markdown page to this file, or with --json the JSON.",
)
@exits_with_its_code
def audit_command(
    matrix_file: Path,
    platforms: tuple[Platform, ...],
    envs: tuple[str, ...],
    *,
    again: bool,
    grid: str | None,
    as_json: bool,
    output: Path | None,
) -> int:
    """Check from their wheels whether the locked environments can load. Works on any machine.

    Reads every wheel (downloaded once; facts of a few megabytes are kept) and checks the architecture, the
    oldest system, that each library and symbol is found, empty stubs, and requirements. The result is
    stored in audit.json next to the lock. "Loads" does not mean "works": docs/audit.md says what this
    method cannot see.

    \b
    metalock audit --env tf2.18-py3.11
    metalock audit --grid tensorflow-metal --platform osx-arm64
    """
    if output is not None and grid is None:
        raise UsageError(
            "--output needs --grid: the result of a lock is stored in audit.json next to it",
            hint="Leave out --output, or add --grid PLUGIN.",
        )
    if grid is not None and (envs or len(platforms) > 1):
        raise UsageError(
            "--grid takes one --platform and no --env: it compares releases, not locks",
            hint="Leave out --env, and run the command once for each platform.",
        )
    refuse_together({"--grid": grid, "--again": again})
    if grid is not None:
        return show_grid(
            grid, platforms[0] if platforms else Platform.OSX_ARM64, as_json=as_json, output=output
        )
    from metalock.audit.result import Verdict
    from metalock.audit.run import audit_cells
    from metalock.audit.text import counts_line, lines_of, to_json
    from metalock.audit.wheel_cache import open_library

    workspace = open_workspace(matrix_file)
    cells = require_available(select(workspace.cells(), platforms=platforms, envs=envs))
    results = []
    for audited in audit_cells(workspace, cells, open_library(make_reporter()), again=again):
        results.append(audited)
        if not as_json:
            out("\n".join(lines_of(audited)))
    if as_json:
        out(json.dumps([to_json(audited) for audited in results], indent=2))
    say(counts_line(results))
    return 0 if all(audited.audit.verdict is Verdict.LOADS for audited in results) else 1


def show_grid(plugin: str, platform: Platform, *, as_json: bool, output: Path | None) -> int:
    """Make the grid, print or write it, and return 4 if a wheel of it could not be read."""
    from metalock.audit.grid import GridVerdict
    from metalock.audit.grid_run import make_grid
    from metalock.audit.gridtext import to_page, to_table

    entries = make_grid(plugin, platform, make_reporter())
    text = json.dumps([entry.to_dict() for entry in entries], indent=1) + "\n"
    if output is not None:
        path = shlex.quote(output.as_posix())
        command = f"metalock audit --grid {plugin} --platform {platform} --output {path}"
        write_text(output, text if as_json else to_page(entries, command))
        say(f"wrote {output}")
    else:
        out(text.rstrip() if as_json else to_table(entries))
    return 4 if any(entry.verdict is GridVerdict.UNREADABLE for entry in entries) else 0
