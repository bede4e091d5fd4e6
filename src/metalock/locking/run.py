"""Lock the cells that need it, and write the files of each whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from metalock.adapters.files import (
    has_leftovers,
    only_one_run,
    recover_folders,
    remove_files,
    replace_folder,
)
from metalock.adapters.reading import read_text
from metalock.errors import MetalockError, ToolError, UsageError, file_error
from metalock.faults import did_you_mean
from metalock.lock.model import Lock, Upgrade
from metalock.lock.text import LockTextError, lock_text, parse_lock
from metalock.matrix.model import Cell
from metalock.platforms import Platform, parse_release
from metalock.progress import Reporter
from metalock.render import RENDERED
from metalock.workspace import LOCK_FILE, CellState, Standing, Workspace, holds

if TYPE_CHECKING:
    from metalock.locking.solve import Locker

RUN_LOCK = ".lock"


@dataclass(slots=True, kw_only=True)
class LockOutcome:
    """What a run did with each cell, by the cell's name."""

    locked: list[str] = field(default_factory=list)
    rendered: list[str] = field(default_factory=list)
    current: list[str] = field(default_factory=list)
    removed: dict[str, list[str]] = field(default_factory=dict)
    """Environments that the matrix no longer has, with the names of the files left in their folders."""
    failed: dict[str, MetalockError] = field(default_factory=dict)
    not_tried: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """Return the highest exit code of the failures, 0 if there are none."""
        return max((error.exit_code for error in self.failed.values()), default=0)


def lock_matrix(
    workspace: Workspace,
    cells: Sequence[Cell],
    *,
    upgrade: Upgrade,
    prune: Sequence[Platform],
    offline: bool,
    jobs: int,
    reporter: Reporter,
) -> LockOutcome:
    """Lock and render the cells that need it, and remove orphans on the platforms of `prune`.

    A cell that fails keeps its old files and the other cells continue, except after a `ToolError`,
    which would fail them all. A second run waits for the first.
    """
    states = [workspace.state(cell) for cell in cells]
    if not upgrade and _all_current(workspace, states, prune):
        return LockOutcome(current=[state.cell.name for state in states])
    with only_one_run(workspace.envs / RUN_LOCK, reporter.note):
        _recover(workspace, reporter)
        outcome = LockOutcome()
        states = [workspace.state(cell) for cell in cells]
        to_lock = [state for state in states if _needs_solving(state) or upgrade]
        for state in states:
            if state.standing is Standing.CURRENT and not upgrade:
                outcome.current.append(state.cell.name)
            elif state.standing is Standing.EDITED and not upgrade and state.lock is not None:
                _write(workspace, state.cell, state.lock, outcome, outcome.rendered)
        if to_lock:
            worker = _make_worker(workspace, states, upgrade=upgrade, offline=offline, reporter=reporter)
            _lock_all(workspace, to_lock, worker, outcome, jobs, reporter)
        _remove_orphans(workspace, prune, outcome)
        return outcome


def require_locked(workspace: Workspace, cells: Sequence[Cell], upgrade: Upgrade) -> None:
    """Raise `UsageError` if no lock of the cells holds a package that is to be upgraded."""
    if upgrade.everything:
        return
    held: set[str] = set()
    for cell in cells:
        lock = workspace.state(cell).lock
        if lock is not None:
            names = [*(package.name for package in lock.conda), *(package.name for package in lock.pip)]
            held |= {canonicalize_name(name) for name in names}
    for name in upgrade.packages:
        if held and name not in held:
            raise UsageError(f"--upgrade {name}: no lock holds it{did_you_mean(name, held)}")


def _all_current(workspace: Workspace, states: Sequence[CellState], prune: Sequence[Platform]) -> bool:
    """Return whether there is nothing to write; it needs no run lock, since nothing is written then."""
    return (
        all(state.standing is Standing.CURRENT for state in states)
        and not workspace.orphans(prune)
        and not any(has_leftovers(workspace.envs / platform) for platform in Platform)
    )


def _recover(workspace: Workspace, reporter: Reporter) -> None:
    for platform in Platform:
        for env in recover_folders(workspace.envs / platform):
            reporter.note(f"{platform}/{env}: restored, an earlier run was stopped while replacing it")


def _remove_orphans(workspace: Workspace, platforms: Sequence[Platform], outcome: LockOutcome) -> None:
    """Remove the files that `env` wrote for environments that the matrix no longer has, and no others."""
    for folder in workspace.orphans(platforms):
        name = f"{folder.parent.name}/{folder.name}"
        try:
            _require_own_lock(folder)
            outcome.removed[name] = remove_files(folder, (LOCK_FILE, *RENDERED))
        except UsageError as error:
            outcome.failed[name] = error
        except OSError as error:
            outcome.failed[name] = file_error(error)


def _require_own_lock(folder: Path) -> None:
    """Raise `UsageError` unless the folder's lock is one that metalock wrote."""
    try:
        parse_lock(read_text(folder / LOCK_FILE))
    except LockTextError:
        raise UsageError(
            f"{folder} was kept: the matrix does not have it, and {LOCK_FILE} is not as metalock wrote it",
            hint="Delete the folder if you do not need it.",
        ) from None


def _needs_solving(state: CellState) -> bool:
    return state.standing in (Standing.MISSING, Standing.STALE, Standing.BROKEN)


def _make_worker(
    workspace: Workspace, states: Sequence[CellState], *, upgrade: Upgrade, offline: bool, reporter: Reporter
) -> Locker:
    """Load the engines, which nothing needed before, and give them what the locks of all cells know."""
    from metalock.locking.solve import make_locker

    worker = make_locker(workspace, upgrade=upgrade, offline=offline, reporter=reporter)
    read = {state.cell.name: state for state in states}
    for cell in workspace.cells():
        if cell.unavailable is None:
            worker.learn(read.get(cell.name) or workspace.state(cell))
    return worker


def _lock_all(
    workspace: Workspace,
    states: Sequence[CellState],
    worker: Locker,
    outcome: LockOutcome,
    jobs: int,
    reporter: Reporter,
) -> None:
    reporter.start("locking", len(states))
    pool = ThreadPoolExecutor(max_workers=jobs)
    futures = {pool.submit(worker.lock, state): state for state in states}
    unsettled = dict(futures)
    try:
        for future in as_completed(futures):
            state = unsettled.pop(future)
            _settle(workspace, state, future, outcome, reporter)
            if isinstance(outcome.failed.get(state.cell.name), ToolError):
                break
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for future, state in unsettled.items():
            if future.cancelled() or isinstance(future.exception(), KeyboardInterrupt):
                outcome.not_tried.append(state.cell.name)
            else:
                _settle(workspace, state, future, outcome, reporter)
        reporter.finish()


def _settle(
    workspace: Workspace, state: CellState, future: Future[Lock], outcome: LockOutcome, reporter: Reporter
) -> None:
    name = state.cell.name
    try:
        lock = future.result()
    except MetalockError as error:
        outcome.failed[name] = error
        reporter.advance(name, "failed")
        return
    reporter.advance(name, _write(workspace, state.cell, lock, outcome, outcome.locked))


def _write(workspace: Workspace, cell: Cell, lock: Lock, outcome: LockOutcome, written: list[str]) -> str:
    """Write the cell's files, and record it in `written`, or as current or failed; return what was done."""
    folder = workspace.folder(cell)
    files = {LOCK_FILE: lock_text(lock), **workspace.render(cell, lock)}
    try:
        if all(holds(folder / name, text) for name, text in files.items()):
            outcome.current.append(cell.name)
            return "unchanged"
        replace_folder(folder, files)
    except UsageError as error:
        outcome.failed[cell.name] = error
        return "failed"
    except OSError as error:
        outcome.failed[cell.name] = file_error(error)
        return "failed"
    written.append(cell.name)
    return f"locked, {len(lock.conda)} conda and {len(lock.pip)} pip packages"


def nearest_working(cell: Cell, cells: Sequence[Cell], working: Iterable[str]) -> Cell | None:
    """Return the cell of `working` on the same platform that is most like `cell`, None if there is none.

    The same stack counts for more than the same Python.
    """
    names = set(working)
    stacks = list(dict.fromkeys(other.stack for other in cells))

    def distance(other: Cell) -> tuple[bool, int]:
        pythons = abs(parse_release(other.python)[1] - parse_release(cell.python)[1])
        return (
            other.stack != cell.stack,
            pythons + 2 * abs(stacks.index(other.stack) - stacks.index(cell.stack)),
        )

    candidates = [c for c in cells if c.name in names and c.platform == cell.platform]
    return min(candidates, key=distance, default=None)
