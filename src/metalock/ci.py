"""Jobs of GitHub Actions that verify environments without evidence, one job for each where there is room."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum

from metalock.evidence.store import trials
from metalock.matrix.model import Cell
from metalock.platforms import Platform
from metalock.workspace import Workspace

RUNNERS = {
    Platform.LINUX_64: "ubuntu-24.04",
    Platform.OSX_ARM64: "macos-15",
    # the last image for Intel, until August 2027: actions/runner-images#13045
    Platform.OSX_64: "macos-15-intel",
}
MAC_WITH_METAL = ["self-hosted", "macOS", "ARM64", "metal"]
"""Hosted Macs are virtual machines that cannot compute with Metal."""


class Wanted(StrEnum):
    """Which evidence is wanted."""

    CPU = "cpu"
    GPU = "gpu"
    """From a Mac with Metal."""


def cells_to_verify(
    workspace: Workspace, cells: Iterable[Cell], wanted: Wanted, *, again: bool
) -> list[Cell]:
    """Return the locked cells without this evidence; with `again` also those that have it."""
    able = [cell for cell in cells if wanted is Wanted.CPU or _has_metal(cell)]
    states = [state for cell in able if (state := workspace.state(cell)).lock is not None]
    found = trials(workspace, states)
    todo = []
    for state in states:
        trial = found[state.cell.name]
        done = trial.on_gpu if wanted is Wanted.GPU else trial.evidence is not None
        lowers = wanted is Wanted.CPU and trial.on_gpu  # it would replace evidence from a GPU
        if not done or (again and not lowers):
            todo.append(state.cell)
    return todo


def _has_metal(cell: Cell) -> bool:
    plugin = cell.column("tensorflow-metal")
    return cell.platform is Platform.OSX_ARM64 and plugin is not None and plugin.unavailable is None


def job_matrix(cells: Sequence[Cell], wanted: Wanted, most: int) -> dict[str, list[dict[str, object]]]:
    """Return the `matrix` of a job; if there are more cells than `most` jobs, several share one."""
    size = 1
    while sum(1 for _ in _shards(cells, size)) > most and size < len(cells):
        size += 1
    return {"include": [_job(shard, wanted) for shard in _shards(cells, size)]}


def _shards(cells: Sequence[Cell], size: int) -> Iterator[list[Cell]]:
    """Yield lists of up to `size` cells of one platform."""
    for platform in Platform:
        own = [cell for cell in cells if cell.platform is platform]
        for start in range(0, len(own), size):
            yield own[start : start + size]


def _job(cells: Sequence[Cell], wanted: Wanted) -> dict[str, object]:
    first, *others = cells
    runner: object = MAC_WITH_METAL if wanted is Wanted.GPU else RUNNERS[first.platform]
    return {
        "name": f"{first.name}{f' and {len(others)} more' if others else ''}",
        "platform": str(first.platform),
        "env": first.env,
        "envs": " ".join(cell.env for cell in cells),
        "python": first.python,
        "runner": runner,
    }
