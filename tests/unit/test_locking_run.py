"""locking/run: what a run writes, removes and leaves alone, where nothing has to be solved."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from samples import MATRIX, locked_workspace

from metalock.adapters.files import replace_folder
from metalock.errors import ToolError, UsageError
from metalock.lock.model import Upgrade
from metalock.locking.run import LockOutcome, lock_matrix
from metalock.locking.summary import outcome_lines
from metalock.matrix.parse import parse_matrix
from metalock.platforms import Platform
from metalock.progress import Reporter
from metalock.workspace import Standing, Workspace, open_workspace

EDITED, OTHER = "linux-64/tf2.18-py3.11", "linux-64/tf2.18-py3.10"
ORPHANS = ["osx-arm64/tf2.18-py3.10", OTHER]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return locked_workspace(tmp_path)


def without_310(workspace: Workspace) -> Workspace:
    return replace(workspace, matrix=parse_matrix(MATRIX.replace('["3.10", "3.11"]', '["3.11"]')))


def run(workspace: Workspace, prune: Sequence[Platform] = tuple(Platform)) -> LockOutcome:
    return lock_matrix(
        workspace,
        list(workspace.cells()),
        upgrade=Upgrade(),
        prune=prune,
        offline=True,
        jobs=1,
        reporter=Reporter(),
    )


def lines(workspace: Workspace, outcome: LockOutcome) -> list[str]:
    return outcome_lines(outcome, list(workspace.cells()), outcome.current)


def edit(workspace: Workspace, name: str) -> None:
    (workspace.envs / name / "conda.lock").write_text("mine\n")


def standings(workspace: Workspace) -> dict[str, Standing]:
    return {cell.name: workspace.state(cell).standing for cell in workspace.cells()}


def test_only_own_files_of_an_orphan_are_removed(workspace: Workspace) -> None:
    folder = workspace.envs / OTHER
    for name in ("NOTES.md", "smoke.json", "audit.json"):
        (folder / name).write_text(name)
    (folder / "more").mkdir()
    changed = without_310(workspace)
    outcome = run(changed)
    assert outcome.removed == {ORPHANS[0]: [], ORPHANS[1]: ["NOTES.md", "audit.json", "more", "smoke.json"]}
    assert sorted(path.name for path in folder.iterdir()) == ["NOTES.md", "audit.json", "more", "smoke.json"]
    assert not (workspace.envs / ORPHANS[0]).exists()
    assert lines(changed, outcome) == [
        f"{ORPHANS[0]}: removed, the matrix has no such environment",
        f"{ORPHANS[1]}: removed, the matrix has no such environment",
        f"  kept: NOTES.md, audit.json, more, smoke.json; delete envs/{OTHER} if you do not need them",
        "2 up to date",
    ]
    assert outcome.exit_code == 0
    assert run(changed).removed == {}


def test_orphans_on_other_platforms_are_left_alone(workspace: Workspace) -> None:
    assert list(run(without_310(workspace), [Platform.LINUX_64]).removed) == [OTHER]
    assert (workspace.envs / ORPHANS[0] / "lock.json").exists()


@pytest.mark.parametrize("text", ['{"lockfileVersion": 3}', "<<<<<<< HEAD\n", ""])
def test_a_folder_with_the_lock_of_another_program_is_kept(workspace: Workspace, text: str) -> None:
    folder = workspace.envs / "linux-64" / "web"
    folder.mkdir()
    (folder / "lock.json").write_text(text)
    (folder / "requirements.txt").write_text("mine")
    edit(workspace, EDITED)
    outcome = run(workspace)
    assert outcome.rendered == [EDITED]
    assert outcome.exit_code == 2
    why = "the matrix does not have it, and lock.json is not as metalock wrote it"
    assert lines(workspace, outcome)[:2] == [
        f"linux-64/web: {folder} was kept: {why}",
        "  hint: Delete the folder if you do not need it.",
    ]
    assert (folder / "requirements.txt").read_text() == "mine"


def test_a_linked_folder_works_until_it_has_to_be_written(workspace: Workspace) -> None:
    folder = workspace.envs / EDITED
    real = workspace.root / "elsewhere"
    folder.rename(real)
    folder.symlink_to(real)
    assert run(workspace).exit_code == 0
    edit(workspace, EDITED)
    edit(workspace, OTHER)
    for _ in range(2):
        outcome = run(workspace)
        assert isinstance(outcome.failed[EDITED], UsageError)
        assert f"Replace the link with the folder it points to: {real}" in str(outcome.failed[EDITED].hint)
        assert standings(workspace)[OTHER] is Standing.CURRENT
        assert outcome.exit_code == 2
    assert folder.is_symlink()
    folder.unlink()
    real.rename(folder)
    assert run(workspace).rendered == [EDITED]


def test_another_name_of_an_environment_is_no_orphan(workspace: Workspace) -> None:
    """A file system that ignores case has other spellings of a name; here links serve for them."""
    for alias, name in {"TF2.18-py3.11": "tf2.18-py3.11", "old": "tf2.18-py3.10"}.items():
        (workspace.envs / "linux-64" / alias).symlink_to(name)
    assert [path.name for path in workspace.orphans(Platform)] == []
    changed = without_310(workspace)
    assert [path.name for path in changed.orphans([Platform.LINUX_64])] == ["old", "tf2.18-py3.10"]
    outcome = run(changed, [Platform.LINUX_64])
    assert list(outcome.failed) == ["linux-64/old"]
    assert list(outcome.removed) == [OTHER]


def test_hidden_folders_of_a_user_are_left_alone(workspace: Workspace) -> None:
    mine = workspace.envs / "linux-64" / ".notes.old"
    mine.mkdir()
    (mine / "text").write_text("mine")
    edit(workspace, EDITED)
    assert run(workspace).rendered == [EDITED]
    assert (mine / "text").read_text() == "mine"
    assert not (workspace.envs / "linux-64" / "notes").exists()


def test_what_a_killed_run_left_is_restored_and_reported(workspace: Workspace) -> None:
    folder = workspace.envs / EDITED
    folder.rename(folder.with_name(f".metalock-old-{folder.name}"))
    notes: list[str] = []

    class Notes(Reporter):
        def note(self, text: str) -> None:
            notes.append(text)

    cells = list(workspace.cells())
    outcome = lock_matrix(
        workspace, cells, upgrade=Upgrade(), prune=(), offline=True, jobs=1, reporter=Notes()
    )
    assert sorted(outcome.current) == sorted(cell.name for cell in cells)
    assert notes == [f"{EDITED}: restored, an earlier run was stopped while replacing it"]


def test_a_full_disk_keeps_what_was_done(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_for_one(folder: Path, files: Mapping[str, str]) -> None:
        if folder == workspace.envs / EDITED:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
        replace_folder(folder, files)

    edit(workspace, EDITED)
    edit(workspace, OTHER)
    monkeypatch.setattr("metalock.locking.run.replace_folder", full_for_one)
    outcome = run(workspace)
    assert outcome.rendered == [OTHER]
    assert isinstance(outcome.failed[EDITED], ToolError)
    assert str(outcome.failed[EDITED]) == f"{workspace.envs / EDITED}: No space left on device"
    assert standings(workspace)[EDITED] is Standing.EDITED


@pytest.mark.parametrize("kind", ["the text file of a checkout without links", "dangling link"])
def test_templates_that_are_no_folder(workspace: Workspace, kind: str) -> None:
    path = workspace.root / "templates"
    if kind == "dangling link":
        path.symlink_to("src/metalock/templates")
    else:
        path.write_text("src/metalock/templates")
    with pytest.raises(UsageError, match="templates is not a folder") as caught:
        open_workspace(workspace.matrix_file)
    assert caught.value.hint is not None
    assert "git config core.symlinks true" in caught.value.hint


def test_the_checkouts_templates_are_the_packages() -> None:
    root = Path(__file__).parents[2]
    link = root / "templates"
    assert link.readlink() == Path("src/metalock/templates")
    assert {path.name for path in link.iterdir()} == {
        "conda.lock.j2",
        "environment.yml.j2",
        "requirements.txt.j2",
    }
    assert open_workspace(root / "matrix.toml").root == root
