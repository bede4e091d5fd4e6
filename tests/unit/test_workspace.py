"""workspace, drift, scaffold, diff, report: what the files of a folder say, and what is reported."""

from __future__ import annotations

import shutil
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest
from samples import MATRIX, all_cells, cell, lock_cell, lock_of, locked_workspace

from metalock.checks.files import check_answers, check_drift, check_readme
from metalock.errors import MetalockError, ToolError, UnsolvableError, UsageError
from metalock.locking.diff import diff_lines
from metalock.locking.run import LockOutcome, nearest_working
from metalock.locking.summary import next_step, outcome_lines
from metalock.matrix.parse import parse_matrix
from metalock.overview.readme import BEGIN, END, with_table
from metalock.platforms import Platform
from metalock.scaffold import write_starter
from metalock.workspace import Standing, Workspace, open_workspace

NAME = "linux-64/tf2.18-py3.11"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return locked_workspace(tmp_path)


def standing(workspace: Workspace, name: str = NAME) -> Standing:
    return workspace.state(next(c for c in workspace.cells() if c.name == name)).standing


def codes(workspace: Workspace) -> list[str]:
    found = check_drift(workspace, list(workspace.cells()), tuple(Platform))
    return [f"{finding.rule.code} {finding.where}" for finding in found]


def test_all_is_current(workspace: Workspace) -> None:
    assert {standing(workspace, c.name) for c in workspace.cells()} == {Standing.CURRENT}
    assert codes(workspace) == []
    assert [env for env, _ in workspace.locks()] == ["tf2.18-py3.10", "tf2.18-py3.11"] * 2


@pytest.mark.parametrize(
    ("file", "old", "new", "standing_then", "code"),
    [
        ("lock.json", "2.18.1", "2.18.2", Standing.BROKEN, "D004"),
        ("lock.json", "{", "\udcff", Standing.BROKEN, "D004"),
        ("environment.yml", "2.18.1", "2.18.2", Standing.EDITED, "D003"),
        ("conda.lock", "\n", "\r", Standing.EDITED, "D003"),
        ("requirements.txt", "--hash", "", Standing.EDITED, "D003"),
    ],
)
def test_edits_are_found(
    workspace: Workspace, file: str, old: str, new: str, standing_then: Standing, code: str
) -> None:
    path = workspace.envs / NAME / file
    path.write_bytes(path.read_text().replace(old, new).encode(errors="surrogateescape"))
    assert standing(workspace) is standing_then
    assert codes(workspace) == [f"{code} envs/{NAME}"]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_crlf_and_a_byte_order_mark_are_no_edits(workspace: Workspace, mark: bytes) -> None:
    """Git and editors on Windows write both."""
    (workspace.root / "templates").mkdir()
    template = resources.files("metalock") / "templates" / "conda.lock.j2"
    (workspace.root / "templates" / "conda.lock.j2").write_bytes(template.read_bytes())
    for path in [p for p in workspace.root.rglob("*") if p.is_file()]:
        rendered = path.parent.parent.parent == workspace.envs and path.name != "lock.json"
        path.write_bytes((b"" if rendered else mark) + path.read_bytes().replace(b"\n", b"\r\n"))
    again = open_workspace(workspace.matrix_file)
    assert {standing(again, c.name) for c in again.cells()} == {Standing.CURRENT}
    assert len(list(again.locks())) == 4


def test_missing_files_are_found(workspace: Workspace) -> None:
    (workspace.envs / NAME / "conda.lock").unlink()
    assert standing(workspace) is Standing.EDITED
    (workspace.envs / NAME / "lock.json").unlink()
    assert standing(workspace) is Standing.MISSING
    (workspace.envs / NAME / "lock.json").mkdir()
    assert standing(workspace) is Standing.BROKEN
    assert len(list(workspace.locks())) == 3


def test_a_change_of_the_matrix_makes_stale_and_orphans(workspace: Workspace) -> None:
    matrix = MATRIX.replace('["3.10", "3.11"]', '["3.11"]').replace('glibc = "2.28"', 'glibc = "2.31"')
    changed = replace(workspace, matrix=parse_matrix(matrix))
    assert codes(changed) == [
        f"D002 envs/{NAME}",
        "D005 envs/osx-arm64/tf2.18-py3.10",
        "D005 envs/linux-64/tf2.18-py3.10",
    ]
    assert changed.state(cell(text=matrix)).lock is not None
    assert [path.name for path in changed.orphans([Platform.OSX_ARM64])] == ["tf2.18-py3.10"]


def test_what_becomes_unavailable_is_an_orphan(workspace: Workspace) -> None:
    matrix = MATRIX.replace(
        "[stack", '[platform.osx-64]\nmacos = "12.0"\ndefault = "tf2.18-py3.11"\n[stack', 1
    )
    matrix = matrix.replace('default = "tf2.18-py3.11"', 'default = "other-py3.11"')
    matrix += (
        '[stack."tf2.18".linux-64]\nunavailable = "No."\n[stack.other]\npython = ["3.11"]\ntensorflow = "2"\n'
    )
    found = codes(replace(workspace, matrix=parse_matrix(matrix)))
    assert f"D005 envs/{NAME}" in found
    assert f"D001 envs/{NAME}" not in found
    assert "D001 envs/osx-64/tf2.18-py3.10" in found


def test_own_templates_serve_before_metalocks(workspace: Workspace) -> None:
    templates = workspace.root / "templates"
    templates.mkdir()
    (templates / "conda.lock.j2").write_text("{{ cell.env }}\n")
    again = open_workspace(workspace.matrix_file)
    assert again.render(cell(), lock_of(cell()))["conda.lock"] == "tf2.18-py3.11\n"
    assert standing(again) is Standing.EDITED


def test_a_missing_matrix(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent\.toml does not exist") as caught:
        open_workspace(tmp_path / "absent.toml")
    assert caught.value.hint is not None


def test_the_readmes_table(workspace: Workspace) -> None:
    readme = workspace.root / "README.md"
    assert list(check_readme(workspace, {})) == []
    readme.write_text("no table\n")
    assert list(check_readme(workspace, {})) == []
    readme.write_text(f"{BEGIN}\nold\n{END}\n")
    assert [finding.rule.code for finding in check_readme(workspace, {})] == ["D006"]
    readme.write_text(with_table(readme.read_text(), list(workspace.cells()), {}))
    assert list(check_readme(workspace, {})) == []
    readme.write_bytes(b"\xff")
    with pytest.raises(UsageError, match=r"README\.md cannot be read"):
        list(check_readme(workspace, {}))


def test_the_page_of_answers(workspace: Workspace) -> None:
    def unasked() -> str:
        raise AssertionError

    assert list(check_answers(workspace, unasked)) == []
    page = workspace.root / "docs" / "answers.md"
    page.parent.mkdir()
    page.write_text("old\n")
    (found,) = check_answers(workspace, lambda: "new\n")
    assert (found.rule.code, found.where) == ("D007", "docs/answers.md")
    assert list(check_answers(workspace, lambda: "old\n")) == []


def test_the_starter_is_a_right_matrix_and_overwrites_nothing(tmp_path: Path) -> None:
    written = write_starter(tmp_path / "new")
    names = sorted(path.relative_to(tmp_path / "new").as_posix() for path in written)
    templates = [f"templates/{name}.j2" for name in ("conda.lock", "environment.yml", "requirements.txt")]
    assert names == [".gitignore", "Makefile", "matrix.toml", *templates]
    assert all(
        standing(open_workspace(written[0]), c.name) is Standing.MISSING
        for c in all_cells(written[0].read_text())
    )
    (tmp_path / "new" / "matrix.toml").write_text("mine")
    shutil.rmtree(tmp_path / "new" / "templates")
    with pytest.raises(UsageError, match=r"matrix\.toml exists already"):
        write_starter(tmp_path / "new")
    assert (tmp_path / "new" / "matrix.toml").read_text() == "mine"
    assert not (tmp_path / "new" / "templates").exists()


def test_diff() -> None:
    old = {f"linux-64/{n}": lock_of(cell(), pip={"tensorflow": "1", "wrapt": "1"}) for n in "abcde"}
    new = {f"linux-64/{n}": lock_of(cell(), pip={"tensorflow": "2", "wrapt": "1"}) for n in "bcdef"}
    new["linux-64/b"] = lock_of(cell(), pip={"tensorflow": "1", "six": "1"})
    assert list(diff_lines(old, new)) == [
        "- new: linux-64/f",
        "- gone: linux-64/a",
        "- six (pip) absent → 1 in 1 of 4 environments: linux-64/b",
        "- tensorflow (pip) 1 → 2 in 3 of 4 environments: linux-64/c, linux-64/d, linux-64/e",
        "- wrapt (pip) 1 → absent in 1 of 4 environments: linux-64/b",
    ]
    assert list(diff_lines(old, old)) == []


def test_the_nearest_that_works() -> None:
    cells = all_cells(MATRIX + '[stack.other]\npython = ["3.9", "3.10"]\ntensorflow = "2.17"\n')
    of = cells[0]
    working = ["linux-64/tf2.18-py3.10", "osx-arm64/other-py3.10", "osx-arm64/tf2.18-py3.11"]
    near = nearest_working(of, cells, working)
    assert near is not None
    assert near.name == "osx-arm64/tf2.18-py3.11"
    assert nearest_working(of, cells, working[:1]) is None


def test_an_outcome_in_words() -> None:
    cells = all_cells()
    failed: dict[str, MetalockError] = {
        cells[0].name: UnsolvableError("no way", hint="try"),
        cells[2].name: ToolError("down"),
    }
    outcome = LockOutcome(
        locked=[cells[1].name], failed=failed, removed={"linux-64/old": []}, not_tried=[cells[3].name]
    )
    assert outcome_lines(outcome, cells, outcome.locked) == [
        "linux-64/tf2.18-py3.10: down",
        "osx-arm64/tf2.18-py3.10: no way",
        "  hint: try",
        "  nearest that works: osx-arm64/tf2.18-py3.11",
        "linux-64/old: removed, the matrix has no such environment",
        "not tried after that failure: 1 environments; run the command again",
        "1 locked, 2 failed",
    ]
    assert outcome.exit_code == 4
    assert outcome_lines(LockOutcome(), cells, []) == ["nothing to do"]


def test_the_next_step(workspace: Workspace) -> None:
    cells = list(workspace.cells())
    assert next_step(workspace, cells) is None
    mac = [cell for cell in cells if cell.platform is Platform.OSX_ARM64]
    default = workspace.root / "envs" / "osx-arm64" / "tf2.18-py3.11" / "environment.yml"
    assert next_step(workspace, mac) == f"use: conda env create -f {default}"
    other = [cell for cell in mac if not cell.is_default]
    assert (
        next_step(workspace, other)
        == f"use: conda env create -f {workspace.folder(other[0])}/environment.yml"
    )


def test_a_lock_of_another_cell_is_stale(workspace: Workspace) -> None:
    other = cell("linux-64/tf2.18-py3.10")
    lock_cell(workspace, cell(), lock_of(other))
    assert standing(workspace) is Standing.STALE
