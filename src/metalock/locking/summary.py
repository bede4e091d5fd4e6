"""The result of a locking run, as lines of text."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from metalock.errors import ToolError, UnsolvableError
from metalock.locking.run import LockOutcome, nearest_working
from metalock.matrix.model import Cell
from metalock.workspace import Workspace


def outcome_lines(outcome: LockOutcome, cells: Sequence[Cell], working: Sequence[str]) -> list[str]:
    """Return the failures, each with the nearest environment of those `working`, then the counts."""
    by_name = {cell.name: cell for cell in cells}
    lines = []
    first_of = {str(error): name for name, error in sorted(outcome.failed.items(), reverse=True)}
    same_failure = [
        name
        for name, error in sorted(outcome.failed.items())
        if isinstance(error, ToolError) and first_of[str(error)] != name
    ]
    for name, error in sorted(outcome.failed.items()):
        if name in same_failure:
            continue
        lines.append(f"{name}: {error}")
        if error.hint:
            lines.append(f"  hint: {error.hint}")
        if isinstance(error, UnsolvableError):
            near = nearest_working(by_name[name], cells, working)
            lines += [] if near is None else [f"  nearest that works: {near.name}"]
    for name, left in outcome.removed.items():
        lines.append(f"{name}: removed, the matrix has no such environment")
        if left:
            lines.append(f"  kept: {', '.join(left)}; delete envs/{name} if you do not need them")
    if same_failure:
        lines.append(f"failed with the same error: {', '.join(same_failure)}")
    if outcome.not_tried:
        lines.append(
            f"not tried after that failure: {len(outcome.not_tried)} environments; run the command again"
        )
    counts = [
        (len(outcome.locked), "locked"),
        (len(outcome.rendered), "rendered"),
        (len(outcome.current), "up to date"),
        (len(outcome.failed), "failed"),
    ]
    lines.append(", ".join(f"{count} {word}" for count, word in counts if count) or "nothing to do")
    return lines


def next_step(workspace: Workspace, cells: Sequence[Cell]) -> str | None:
    """Return the command that creates the default environment, if one platform was selected."""
    platforms = {cell.platform for cell in cells}
    if len(platforms) != 1:
        return None
    cell = next((cell for cell in cells if cell.is_default), cells[0])
    return f"use: conda env create -f {shlex.quote(str(workspace.folder(cell) / 'environment.yml'))}"
