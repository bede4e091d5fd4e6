"""adapters/files: written whole or not at all, and recovered from any point where a run was killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from metalock.adapters.files import (
    has_leftovers,
    only_one_run,
    read_text,
    recover_folders,
    remove_folder,
    replace_folder,
    write_text,
)
from metalock.errors import UsageError

State = dict[str, str]


def tree(root: Path) -> State:
    return {p.relative_to(root).as_posix(): p.read_text() for p in sorted(root.rglob("*")) if p.is_file()}


def plant(root: Path, state: State) -> None:
    for name, text in state.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_read_text_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"\xff")
    for path in (tmp_path / "absent", tmp_path / "latin", tmp_path):
        with pytest.raises(UsageError, match=str(path)):
            read_text(path)


def test_write_text(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    assert write_text(path, "ä\n")
    assert path.read_bytes() == b"\xc3\xa4\n"
    assert not write_text(path, "ä\n")
    assert write_text(path, "b\n")
    assert tree(tmp_path) == {"new/file": "b\n"}


def test_replace_folder(tmp_path: Path) -> None:
    folder = tmp_path / "env"
    replace_folder(folder, {"a": "1", "b": "1"})
    plant(folder, {"mine": "kept"})
    plant(tmp_path, {".env.new/rubbish": "x"})
    replace_folder(folder, {"b": "2"})
    assert tree(tmp_path) == {"env/a": "1", "env/b": "2", "env/mine": "kept"}


def test_remove_folder(tmp_path: Path) -> None:
    plant(tmp_path, {"env/a": "1", "other/a": "1", ".env.new/rubbish": "x"})
    remove_folder(tmp_path / "env")
    assert tree(tmp_path) == {"other/a": "1"}


@pytest.mark.parametrize(
    ("left", "recovered", "result"),
    [
        ({}, [], {}),
        ({"e/a": "1"}, [], {"e/a": "1"}),
        ({"e/a": "1", ".e.new/a": "2"}, [], {"e/a": "1"}),
        ({".e.old/a": "1", ".e.new/a": "2"}, ["e"], {"e/a": "1"}),
        ({"e/a": "2", ".e.old/a": "1"}, [], {"e/a": "2"}),
        ({".e.old/a": "1"}, ["e"], {"e/a": "1"}),
        ({".e.new/a": "1"}, [], {}),
        ({".e.new": "a file"}, [], {}),
        ({".tf2.9-py3.9.old/a": "1", "e/a": "1"}, ["tf2.9-py3.9"], {"tf2.9-py3.9/a": "1", "e/a": "1"}),
    ],
)
def test_recover_from(left: State, recovered: list[str], result: State, tmp_path: Path) -> None:
    plant(tmp_path, left)
    assert has_leftovers(tmp_path) == (left != result)
    assert recover_folders(tmp_path) == recovered
    assert tree(tmp_path) == dict(sorted(result.items()))
    assert not has_leftovers(tmp_path)
    assert recover_folders(tmp_path) == []


def test_a_kill_between_any_two_steps_leaves_old_or_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = 0

    def stopping_at(limit: int) -> None:
        nonlocal steps
        steps = 0
        original = Path.rename

        def rename(path: Path, target: Path) -> Path:
            nonlocal steps
            steps += 1
            if steps > limit:
                raise KeyboardInterrupt
            return original(path, target)

        monkeypatch.setattr(Path, "rename", rename)

    for limit in range(2):
        folder = tmp_path / str(limit) / "env"
        replace_folder(folder, {"a": "old", "b": "old"})
        with monkeypatch.context():
            stopping_at(limit)
            with pytest.raises(KeyboardInterrupt):
                replace_folder(folder, {"a": "new", "b": "new"})
            monkeypatch.undo()
        recover_folders(folder.parent)
        assert tree(folder) in ({"a": "old", "b": "old"}, {"a": "new", "b": "new"})


def test_only_one_run(tmp_path: Path) -> None:
    said: list[str] = []
    with only_one_run(tmp_path / "envs" / ".lock", said.append):
        assert (tmp_path / "envs" / ".lock").exists()
    with only_one_run(tmp_path / "envs" / ".lock", said.append):
        pass
    assert said == []
