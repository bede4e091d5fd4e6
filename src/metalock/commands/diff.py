"""`metalock diff`."""

from __future__ import annotations

from pathlib import Path

import click

from metalock.adapters.console import out
from metalock.commands.options import exits_with_its_code, with_matrix
from metalock.workspace import open_workspace


@click.command("diff", short_help="Print what changed in locks and evidence since a git revision.")
@with_matrix
@click.argument("revision", default="HEAD")
@exits_with_its_code
def diff_command(matrix_file: Path, revision: str) -> int:
    """Print what changed in locks and evidence since a git REVISION (default: the last commit), as Markdown.

    A line for each package with its old and new version, and the environments it changed in; then one for
    each file of evidence that was added, changed or removed, with its machine, day and counts.
    """
    from metalock.locking.diff import diff_lines, evidence_at, evidence_lines, evidence_now, locks_at

    workspace = open_workspace(matrix_file)
    new = {f"{lock.platform}/{env}": lock for env, lock in workspace.locks()}
    lines = list(diff_lines(locks_at(workspace, revision), new))
    lines += evidence_lines(evidence_at(workspace, revision), evidence_now(workspace), new)
    out("\n".join(lines) if lines else "no lock and no evidence has changed")
    return 0
