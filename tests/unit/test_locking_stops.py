"""locking: a failing server stops the run, a cell without a solution does not; what is proposed then."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import ClassVar

import pytest
from samples import HEAD, PLATFORMS, all_cells, cell, lock_of, locked_workspace

from metalock.adapters.conda import ChannelSolver, CondaRequest, RecordSolver
from metalock.adapters.settings import read_settings
from metalock.adapters.uv import PipResolver, ResolvedWheel
from metalock.errors import FetchError, MetalockError, ToolError, UnsolvableError
from metalock.lock.model import CondaPackage, Lock, Upgrade
from metalock.locking import run
from metalock.locking.run import LockOutcome, lock_matrix, nearest_working
from metalock.locking.solve import Locker, open_conda_solver
from metalock.locking.summary import outcome_lines
from metalock.progress import Reporter
from metalock.workspace import CellState, open_workspace

FOUR = (
    HEAD + PLATFORMS + '[stack."tf2.18"]\npython = ["3.10", "3.11", "3.12", "3.13"]\ntensorflow = "2.18.1"\n'
)
MORE_STACKS = FOUR + "".join(
    f'[stack."tf2.{minor}"]\npython = ["3.10", "3.11"]\ntensorflow = "2.{minor}.0"\n' for minor in (17, 16)
)


class FirstFails(Reporter):
    """Solves cells, apart from the first, whose failure is reported while the second is being solved."""

    def __init__(self, error: MetalockError) -> None:
        self.asked: list[str] = []
        self.stopped = Event()
        self._second = Event()
        self._error = error

    def lock(self, state: CellState) -> Lock:
        self.asked.append(state.cell.name)
        if len(self.asked) == 1:
            raise self._error
        self._second.set()
        if isinstance(self._error, ToolError):
            self.stopped.wait(5)
        return lock_of(state.cell, pip={"tensorflow": "2.18.0"})

    def advance(self, *_: object, **__: object) -> None:
        assert self._second.wait(10)


def run_with(error: MetalockError, folder: Path, patch: pytest.MonkeyPatch) -> tuple[LockOutcome, list[str]]:
    worker = FirstFails(error)

    class Pool(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            worker.stopped.set()
            super().shutdown(wait=wait)

    patch.setattr(run, "ThreadPoolExecutor", Pool)
    patch.setattr(run, "_make_worker", lambda *_, **__: worker)
    workspace = locked_workspace(folder, FOUR)
    cells = [one for one in workspace.cells() if one.platform == "linux-64"]
    upgrade = Upgrade(everything=True)
    outcome = lock_matrix(workspace, cells, upgrade=upgrade, prune=(), offline=False, jobs=1, reporter=worker)
    return outcome, worker.asked


NAMES = [f"linux-64/tf2.18-py3.{minor}" for minor in (10, 11, 12, 13)]


@pytest.mark.parametrize("error", [FetchError("down"), ToolError("broken")], ids=["server", "tool"])
def test_a_failing_server_stops_the_run(
    error: MetalockError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome, asked = run_with(error, tmp_path, monkeypatch)
    assert asked == NAMES[:2], "the second had begun"
    assert outcome.failed == {NAMES[0]: error}
    assert outcome.locked == NAMES[1:2], "what was being solved is written"
    assert outcome.not_tried == NAMES[2:]
    assert outcome.exit_code == 4


def test_a_cell_without_a_solution_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, asked = run_with(UnsolvableError("no way"), tmp_path, monkeypatch)
    assert asked == NAMES
    assert (list(outcome.failed), outcome.locked, outcome.not_tried) == (NAMES[:1], NAMES[1:], [])


@pytest.mark.parametrize(
    ("working", "nearest"),
    [
        (["tf2.18-py3.13", "tf2.17-py3.10"], "tf2.18-py3.13"),  # the same stack, whatever its Python
        (["tf2.18-py3.13", "tf2.18-py3.12"], "tf2.18-py3.12"),
        (["tf2.16-py3.10", "tf2.17-py3.11"], "tf2.17-py3.11"),  # a stack counts as two Pythons
        (["tf2.17-py3.11", "tf2.17-py3.10"], "tf2.17-py3.10"),
    ],
)
def test_the_nearest_that_works_has_the_same_stack_if_any_does(working: list[str], nearest: str) -> None:
    found = nearest_working(
        cell("linux-64/tf2.18-py3.10", MORE_STACKS),
        all_cells(MORE_STACKS),
        [f"linux-64/{name}" for name in working] + ["osx-arm64/tf2.18-py3.10"],
    )
    assert found is not None
    assert found.name == f"linux-64/{nearest}"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UnsolvableError("no way"), ["  nearest that works: linux-64/tf2.18-py3.11"]),
        (FetchError("down"), []),
        (ToolError("broken"), []),
    ],
    ids=["unsolvable", "server", "tool"],
)
def test_another_environment_is_proposed_only_where_it_helps(
    error: MetalockError, expected: list[str]
) -> None:
    lines = outcome_lines(LockOutcome(failed={NAMES[0]: error}), all_cells(FOUR), NAMES[1:2])
    assert lines == [f"{NAMES[0]}: {error}", *expected, "1 failed"]


def test_a_silent_channel_is_an_error_where_no_lock_has_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ChannelSolver, "unreachable", lambda _solver, channels: next(iter(channels)))
    settings = read_settings({}, tmp_path)
    for name in ("locked", "new"):
        (tmp_path / name).mkdir()
    workspace = locked_workspace(tmp_path / "locked")
    assert isinstance(
        open_conda_solver(workspace, settings, offline=False, reporter=Reporter()), RecordSolver
    )
    (tmp_path / "new" / "matrix.toml").write_text(FOUR)
    workspace = open_workspace(tmp_path / "new" / "matrix.toml")
    with pytest.raises(FetchError, match=r"^conda channel conda-forge cannot be reached, and no lock "):
        open_conda_solver(workspace, settings, offline=False, reporter=Reporter())


class Offline:
    """Gives every cell the conda part that it has, as from the records of locks."""

    is_offline: ClassVar[bool] = True

    def solve(self, request: CondaRequest, locked: Sequence[CondaPackage]) -> tuple[CondaPackage, ...]:
        assert "python 3.11.*" in request.specs
        return tuple(locked)


def test_the_error_of_the_index_is_shown_if_the_cache_does_not_help_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(*_: object, from_cache: bool = False) -> tuple[ResolvedWheel, ...]:
        raise FetchError("the network was disabled" if from_cache else "package index: Connection refused")

    monkeypatch.setattr(PipResolver, "resolve", resolve)
    worker = Locker(Offline, PipResolver(None), Upgrade())
    workspace = locked_workspace(tmp_path)
    with pytest.raises(FetchError, match=r"^package index: Connection refused\n  uv's cache does not have "):
        worker.lock(workspace.state(cell()))
