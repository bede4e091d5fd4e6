"""What a run did, in words."""

from __future__ import annotations

from collections.abc import Sequence

from metalock.env import Outcome, nearest_working
from metalock.errors import ToolError, UnsolvableError
from metalock.matrix.model import Cell, Matrix


def outcome_lines(outcome: Outcome, cells: Sequence[Cell]) -> list[str]:
    """Failures first, each with the nearest environment that works, then the count."""
    by_name = {cell.name: cell for cell in cells}
    working = [*outcome.locked, *outcome.rendered, *outcome.current]
    lines = []
    likewise = sorted(name for name, error in outcome.failed.items() if isinstance(error, ToolError))[1:]
    for name, error in sorted(outcome.failed.items()):
        if name in likewise:
            continue
        lines.append(f"{name}: {error}")
        if error.hint:
            lines.append(f"  hint: {error.hint}")
        near = nearest_working(by_name[name], cells, working)
        if near is not None and isinstance(error, UnsolvableError):
            lines.append(f"  nearest that works: {near.name}")
    lines += [f"{name}: removed, the matrix has no such environment" for name in outcome.removed]
    if likewise:
        lines.append(f"failed likewise: {', '.join(likewise)}")
    if outcome.not_tried:
        lines.append(
            f"not tried after that failure: {len(outcome.not_tried)} environments; the next run does them"
        )
    counts = [
        (len(outcome.locked), "locked"),
        (len(outcome.rendered), "rendered"),
        (len(outcome.current), "up to date"),
        (len(outcome.failed), "failed"),
    ]
    lines.append(", ".join(f"{count} {word}" for count, word in counts if count) or "nothing to do")
    return lines


def next_step(matrix: Matrix, cells: Sequence[Cell]) -> str | None:
    """The command that uses the default environment, where one platform was asked for."""
    platforms = {cell.platform for cell in cells}
    if len(platforms) != 1:
        return None
    (platform,) = platforms
    env = matrix.defaults[platform]
    if all(cell.env != env for cell in cells):
        env = cells[0].env
    return f"use: conda env create -f envs/{platform}/{env}/environment.yml"
