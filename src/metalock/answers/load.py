"""Reading what the page of answers is made from: the locks of the matrix, and their evidence."""

from __future__ import annotations

from metalock.answers.model import TriedEnvironment
from metalock.answers.page import page
from metalock.answers.questions import own_questions
from metalock.evidence.contract import contract, situation_of
from metalock.evidence.store import read_evidence
from metalock.matrix.model import Cell
from metalock.overview.query import newness
from metalock.platforms import parse_release
from metalock.workspace import Standing, Workspace


def answers_text(workspace: Workspace) -> str:
    """Return the page for a workspace."""
    return page(own_questions(), contract(), places(workspace))


def places(workspace: Workspace) -> list[TriedEnvironment]:
    """Return environments with a valid lock, oldest first; evidence about another lock is ignored."""
    cells = [cell for cell in workspace.cells() if cell.unavailable is None]
    found = (_place(workspace, cell) for cell in sorted(cells, key=_age))
    return [place for place in found if place is not None]


def _age(cell: Cell) -> tuple[object, ...]:
    return (*newness(cell), parse_release(cell.python), cell.platform)


def _place(workspace: Workspace, cell: Cell) -> TriedEnvironment | None:
    state = workspace.state(cell)
    if state.lock is None or state.standing is Standing.STALE:
        return None
    evidence = read_evidence(workspace, cell, state.lock)
    results = evidence.results(state.lock) if evidence is not None else []
    return TriedEnvironment(
        stack=cell.stack,
        python=cell.python,
        platform=cell.platform,
        situation=situation_of(state.lock, evidence.host if evidence is not None else None),
        evidence=evidence,
        results={result.capability.key: result for result in results},
    )
