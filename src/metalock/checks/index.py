"""Checks of the matrix and its locks against the package index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from metalock.adapters.http import Client
from metalock.adapters.index import PackageIndex
from metalock.adapters.settings import read_settings
from metalock.adapters.uv import PipRequest, PipResolver
from metalock.errors import UnsolvableError
from metalock.findings import CheckRule, Finding
from metalock.lock.model import Lock
from metalock.matrix.model import Cell, Requirement
from metalock.progress import Reporter
from metalock.workspace import CellState, Standing, Workspace

READERS = 8
"""Project pages read at once."""


def check_index(
    workspace: Workspace, cells: Sequence[Cell], *, jobs: int, reporter: Reporter
) -> list[Finding]:
    """Run every check that needs the index. Raises `FetchError` if it cannot be read."""
    settings = read_settings()
    index = PackageIndex(settings.index_url, client=Client(reporter))
    states = [workspace.state(cell) for cell in cells if cell.unavailable is None]
    locks = [(state.cell, state.lock) for state in states if state.lock is not None]
    names = {c.watched[0] for cell in cells for c in cell.columns if c.unavailable}
    names |= {package.name for _, lock in locks for package in lock.pip}
    reporter.start("reading the index", len(names))
    pool = ThreadPoolExecutor(max_workers=READERS)
    try:
        for name, _ in zip(sorted(names), pool.map(index.wheels, sorted(names)), strict=True):
            reporter.advance(name)
    finally:
        pool.shutdown(cancel_futures=True)
        reporter.finish()
    return [
        *check_unavailable(index, cells),
        *check_locked_wheels(index, locks),
        *check_pins(states, PipResolver(settings.index_url, reporter), jobs=jobs, reporter=reporter),
    ]


def check_unavailable(index: PackageIndex, cells: Sequence[Cell]) -> Iterator[Finding]:
    """Ask the index again for everything called unavailable, without the cut-off date."""
    for cell in cells:
        columns = [cell.tensorflow] if cell.unavailable is not None else cell.columns
        for column in columns:
            if column.unavailable is not None:
                yield from _appeared(index, cell, column)


def _appeared(index: PackageIndex, cell: Cell, column: Requirement) -> Iterator[Finding]:
    distribution, specifier = column.watched
    wheels = index.fitting(
        distribution, specifier, platform=cell.platform, python=cell.python, floor=cell.floor
    )
    if wheels:
        files = sorted(wheel.file for wheel in wheels)
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        yield Finding(
            rule=CheckRule.APPEARED,
            where=f'stack."{cell.stack}".{cell.platform}.{column.name} on Python {cell.python}',
            detail=f"the index has {files[-1]}{more}, though the matrix says: {column.unavailable}",
            fix="Lock it, or narrow the version that is called unavailable.",
        )


def check_locked_wheels(index: PackageIndex, locks: Sequence[tuple[Cell, Lock]]) -> Iterator[Finding]:
    """Compare every locked wheel with its entry on the index; each wheel once."""
    seen: dict[str, tuple[Cell, Lock]] = {}
    for cell, lock in locks:
        for package in lock.pip:
            if package.file in seen:
                continue
            seen[package.file] = (cell, lock)
            where = f"{package.file} (envs/{cell.name} and others that lock it)"
            entry = index.find(package)
            if entry is None:
                yield Finding(rule=CheckRule.GONE, where=where, detail="the index does not list it any more")
            elif entry.sha256 != package.sha256:
                detail = f"locked sha256 {package.sha256}, the index says {entry.sha256}"
                yield Finding(rule=CheckRule.CHANGED, where=where, detail=detail)
            elif entry.yanked:
                fix = f"Exclude the version in matrix.toml, then run `metalock env --upgrade {package.name}`."
                detail = "the index says that it is yanked"
                yield Finding(rule=CheckRule.YANKED, where=where, detail=detail, fix=fix)


def check_pins(
    states: Sequence[CellState], resolver: PipResolver, *, jobs: int, reporter: Reporter
) -> Iterator[Finding]:
    """Resolve the pip part of each cell without a current lock, to find contradictions; write nothing."""
    doubtful = [s.cell for s in states if s.standing not in (Standing.CURRENT, Standing.EDITED)]

    def contradiction(cell: Cell) -> str | None:
        request = PipRequest(
            platform=cell.platform,
            floor=cell.floor,
            python=cell.python,
            exclude_newer=cell.exclude_newer,
            requirements=cell.pip,
            constraints=cell.constraints,
        )
        try:
            resolver.resolve(request, {})
        except UnsolvableError as error:
            reporter.advance(cell.name, "contradiction")
            return str(error)
        reporter.advance(cell.name, "agrees")
        return None

    if not doubtful:
        return
    reporter.start("checking pins", len(doubtful))
    pool = ThreadPoolExecutor(max_workers=jobs)
    try:
        for cell, text in zip(doubtful, pool.map(contradiction, doubtful), strict=True):
            if text is not None:
                where = f'stack."{cell.stack}" on {cell.platform}, Python {cell.python}'
                yield Finding(rule=CheckRule.CONTRADICTION, where=where, detail=text)
    finally:
        pool.shutdown(cancel_futures=True)
        reporter.finish()
