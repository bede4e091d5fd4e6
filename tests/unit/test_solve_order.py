"""locking/solve: the same matrix and locks end in the same locks, in whatever order cells are locked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import HEAD, all_cells, conda, lock_of

from metalock.adapters.conda import CondaRequest
from metalock.adapters.uv import PipRequest, ResolvedWheel
from metalock.errors import UnsolvableError
from metalock.lock.model import CondaPackage, Lock, Upgrade
from metalock.locking.solve import Locker, conda_request
from metalock.matrix.model import Cell
from metalock.workspace import CellState, Standing

MATRIX = (
    HEAD
    + """\
[platform.linux-64]
glibc = "2.28"
default = "tf2.18-py3.11"

[stack."tf2.18"]
python = ["3.11"]
tensorflow = "2.18.1"
[stack."tf2.17"]
python = ["3.11"]
tensorflow = "2.17.1"
[stack."tf2.16"]
python = ["3.11"]
tensorflow = "2.16.2"
"""
)
CELLS = all_cells(MATRIX)
NEWEST = "3"
Locks = dict[str, CellState]


class Conda:
    """Holds what was locked, and takes the newest version of everything else."""

    is_offline: ClassVar[bool] = False

    def solve(self, request: CondaRequest, locked: Sequence[CondaPackage]) -> tuple[CondaPackage, ...]:
        held = {package.name: package.version for package in locked}
        assert request == conda_request(CELLS[0])
        names = {"libgcc": NEWEST, "python": "3.11.9", "tk": NEWEST}
        return tuple(conda(name, held.get(name, newest)) for name, newest in names.items())


class Pip:
    """Holds what was locked, and takes the newest version of everything else."""

    def resolve(
        self, request: PipRequest, preferences: Mapping[str, str], *, from_cache: bool = False
    ) -> tuple[ResolvedWheel, ...]:
        assert not from_cache
        return tuple(
            ResolvedWheel(
                name=name, version=version, file=f"{name}-{version}.whl", sha256="0", url="", size=1
            )
            for name in sorted(request.requirements)
            for version in [preferences.get(name, NEWEST)]
        )


def state(cell: Cell, version: str | None, standing: Standing) -> CellState:
    if version is None:
        return CellState(cell=cell, standing=Standing.MISSING)
    packages = [conda("libgcc", version), conda("python", "3.11.9")]
    if standing is Standing.CURRENT:
        packages.append(conda("tk", version))
    lock = lock_of(cell, packages, pip={"tensorflow": version})
    return CellState(cell=cell, standing=standing, lock=lock)


def run(locks: Locks, names: Sequence[str]) -> Locks:
    """Lock the named cells as one run of `metalock env` does."""
    locker = Locker(Conda, Pip(), Upgrade())  # type: ignore[arg-type]  # resolves as PipResolver does
    for cell in CELLS:
        locker.learn(locks[cell.name])
    todo = [locks[name] for name in names if locks[name].standing is not Standing.CURRENT]
    done = {each.cell.name: locker.lock(each) for each in todo}
    return {**locks, **{n: replace(locks[n], lock=k, standing=Standing.CURRENT) for n, k in done.items()}}


def packages(locks: Locks) -> dict[str, Lock | None]:
    return {name: each.lock for name, each in locks.items()}


STATES = st.sampled_from(
    [(None, Standing.MISSING)]
    + [(version, standing) for version in "12" for standing in (Standing.STALE, Standing.CURRENT)]
)


@given(st.tuples(STATES, STATES, STATES), st.permutations([cell.name for cell in CELLS]))
def test_the_order_of_runs_changes_no_lock(
    found: tuple[tuple[str | None, Standing], ...], order: Sequence[str]
) -> None:
    before = {c.name: state(c, *each) for c, each in zip(CELLS, found, strict=True)}
    whole = run(before, [cell.name for cell in CELLS])
    one_by_one = before
    for name in order:
        one_by_one = run(one_by_one, [name])
    pair_first = run(run(before, order[:2]), order)
    assert packages(whole) == packages(one_by_one) == packages(pair_first)


def test_a_new_cell_moves_nothing_in_an_old_one() -> None:
    """A lock of its own comes before what a cell locked meanwhile has."""
    current, old, new = (cell.name for cell in CELLS)
    for order in permutations([new, old]):
        locks = {
            current: state(CELLS[0], "2", Standing.CURRENT),
            old: state(CELLS[1], "1", Standing.STALE),
            new: state(CELLS[2], None, Standing.MISSING),
        }
        for name in order:
            locks = run(locks, [name])
        versions = {
            name: {p.name: p.version for p in each.lock.conda} for name, each in locks.items() if each.lock
        }
        assert versions[new] == {"libgcc": "2", "python": "3.11.9", "tk": "2"}
        assert versions[old] == {"libgcc": "1", "python": "3.11.9", "tk": NEWEST}


def test_a_failure_is_shared_by_equal_requests_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def never(_self: Conda, _request: CondaRequest, locked: Sequence[CondaPackage]) -> None:
        asked.append(len(locked))
        raise UnsolvableError("no")

    monkeypatch.setattr(Conda, "solve", never)
    locker = Locker(Conda, Pip(), Upgrade())  # type: ignore[arg-type]  # resolves as PipResolver does
    states = [state(c, None, Standing.MISSING) for c in CELLS[:2]] + [state(CELLS[2], "1", Standing.STALE)]
    for each in states:
        with pytest.raises(UnsolvableError):
            locker.lock(each)
    assert asked == [0, 2]
