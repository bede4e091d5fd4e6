"""Expanding a `Matrix` to its cells: every stack, platform and Python, also the unavailable ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metalock.errors import NothingSelectedError, UsageError
from metalock.faults import did_you_mean
from metalock.matrix.model import Cell, Matrix, Requirement, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from metalock.platforms import Platform


def expand(matrix: Matrix) -> Iterator[Cell]:
    """Yield the cells in the order of the file; within a stack by platform, then by Python ascending."""
    for row in matrix.rows:
        for python in row.pythons:
            yield _cell(matrix, row, python)


def _cell(matrix: Matrix, row: Row, python: str) -> Cell:
    columns = tuple(_columns(row, python))
    env = f"{row.stack}-py{python}"
    wanted = {column.name: column.specifier for column in columns if column.unavailable is None}
    return Cell(
        env=env,
        stack=row.stack,
        platform=row.platform,
        python=python,
        floor=row.floor,
        channels=matrix.channels,
        exclude_newer=matrix.exclude_newer,
        columns=columns,
        conda=matrix.conda_packages,
        pip=dict(sorted((wanted | dict(row.packages)).items())),
        constraints=row.constraints,
        from_conda=matrix.from_conda,
        variables=row.variables,
        is_default=matrix.defaults.get(row.platform) == env,
    )


def _columns(row: Row, python: str) -> Iterator[Requirement]:
    for name, choices in row.columns.items():
        for choice in choices:
            if choice.admits(python):
                yield Requirement(
                    name=name,
                    specifier=choice.specifier,
                    unavailable=choice.unavailable,
                    watched=choice.watch or (name, choice.specifier),
                )
                break


def select(
    cells: Iterable[Cell], *, platforms: Sequence[Platform] = (), envs: Sequence[str] = ()
) -> list[Cell]:
    """Return the cells of those platforms and environments (all, if none is named).

    Raises `UsageError` for an environment that the matrix does not have, and
    `NothingSelectedError` if the platforms do not have it.
    """
    cells = list(cells)
    known = {cell.env for cell in cells}
    for env in envs:
        if env not in known:
            raise UsageError(
                f"no environment {env!r} in the matrix{did_you_mean(env, known)}",
                hint="Run `metalock list` to see all environments.",
            )
    chosen = [c for c in cells if (not platforms or c.platform in platforms) and (not envs or c.env in envs)]
    if not chosen:
        raise NothingSelectedError(
            "nothing selected: the matrix has no such environment on that platform",
            hint="Run `metalock list` to see the environments of each platform.",
        )
    return chosen


def require_available(cells: Sequence[Cell]) -> list[Cell]:
    """Return the available cells; raise `NothingSelectedError` with the reasons if there is none."""
    available = [cell for cell in cells if cell.unavailable is None]
    if not available:
        reasons = "; ".join(f"{cell.name}: {cell.unavailable}" for cell in cells)
        raise NothingSelectedError(
            f"nothing selected, unavailable: {reasons}",
            hint="Run `metalock list` to see which environments are available.",
        )
    return available
