"""A folder below `tests/cases` is a case: a matrix and what comes of it, to the byte.

Good ones have `locks.toml`, made by hand, and `expected/`; bad ones have `errors.txt`.
`METALOCK_UPDATE_GOLDEN=1 pytest tests/unit/test_cases.py` writes what is expected: read the diff.
"""

from __future__ import annotations

import os
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from samples import conda, lock_cell, lock_of

from metalock.cli import main
from metalock.errors import MatrixError
from metalock.lock.model import Lock
from metalock.matrix.model import Cell
from metalock.matrix.parse import parse_matrix
from metalock.workspace import open_workspace

CASES = Path(__file__).parents[1] / "cases"
UPDATE = os.environ.get("METALOCK_UPDATE_GOLDEN") == "1"
GOOD = sorted(path.parent for path in CASES.glob("*/locks.toml"))
BAD = sorted(path.parent for path in CASES.glob("bad-*/matrix.toml"))


def check(path: Path, text: str) -> None:
    if UPDATE:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def lock_from(table: dict[str, Any], cell: Cell) -> Lock:
    """The packages of `locks.toml`: each name with version, and conda's with all else that it says."""
    subdir = str(cell.platform)
    python = conda("python", f"{cell.python}.9", depends=["openssl"], subdir=subdir)
    packages = [conda(name, **({"subdir": subdir} | entry)) for name, entry in table["conda"].items()]
    return lock_of(
        cell,
        [python, *packages],
        {cell.tensorflow.name: cell.tensorflow.specifier[2:] or "2.18.1", **table["pip"]},
    )


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_good(case: Path, tmp_path: Path) -> None:
    matrix = tmp_path / "matrix.toml"
    shutil.copy(case / "matrix.toml", matrix)
    workspace = open_workspace(matrix)
    locks = tomllib.loads((case / "locks.toml").read_text(encoding="utf-8"))
    expected = case / "expected"
    if UPDATE:
        shutil.rmtree(expected, ignore_errors=True)
    for cell in workspace.cells():
        if cell.unavailable is None:
            lock_cell(workspace, cell, lock_from(locks, cell))
    written = [path.relative_to(tmp_path) for path in sorted(workspace.envs.rglob("*")) if path.is_file()]
    for path in written:
        check(expected / path, (tmp_path / path).read_text(encoding="utf-8"))
    assert written == [p.relative_to(expected) for p in sorted((expected / "envs").rglob("*")) if p.is_file()]
    for name, options in (("list.txt", []), ("list.json", ["--json"]), ("table.md", ["--markdown"])):
        result = CliRunner().invoke(main, ["list", "--matrix", str(matrix), *options])
        assert result.exit_code == 0
        check(expected / name, result.output)
    result = CliRunner().invoke(main, ["env", "--check", "--matrix", str(matrix)])
    assert (result.exit_code, result.output) == (0, "no findings\n")


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_bad(case: Path) -> None:
    with pytest.raises(MatrixError) as caught:
        parse_matrix((case / "matrix.toml").read_text(encoding="utf-8"))
    check(case / "errors.txt", f"{caught.value}\n")


def test_every_folder_is_a_case() -> None:
    assert sorted({*GOOD, *BAD}) == sorted(path for path in CASES.iterdir() if path.is_dir())
    assert not {*GOOD} & {*BAD}
