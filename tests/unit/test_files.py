"""adapters/files: written whole or not at all, and recovered from any point where a run was killed."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from metalock.adapters.files import (
    NEW,
    OLD,
    has_leftovers,
    only_one_run,
    recover_folders,
    remove_files,
    remove_folder,
    replace_folder,
    write_text,
)
from metalock.errors import UsageError, file_error

State = dict[str, str]


def tree(root: Path) -> State:
    return {p.relative_to(root).as_posix(): p.read_text() for p in sorted(root.rglob("*")) if p.is_file()}


def plant(root: Path, state: State) -> None:
    for name, text in state.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """An empty folder, and no right to ignore permission bits, which root has."""
    folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="metalock-test-"))
    as_root = os.geteuid() == 0
    if as_root:
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if as_root:
            os.seteuid(0)
        for path, _, _ in os.walk(folder):
            Path(path).chmod(0o700)
        shutil.rmtree(folder)


def test_write_text(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    assert write_text(path, "ä\n")
    assert path.read_bytes() == b"\xc3\xa4\n"
    assert not write_text(path, "ä\n")
    assert write_text(path, "b\n")
    assert tree(tmp_path) == {"new/file": "b\n"}


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_is_followed_and_kept(tmp_path: Path, *, exists: bool) -> None:
    plant(tmp_path, {"docs/page.md": "old"} if exists else {"docs/other": ""})
    (tmp_path / "link").symlink_to("second")
    (tmp_path / "second").symlink_to("docs/page.md")
    assert write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "second").is_symlink()
    assert (tmp_path / "docs" / "page.md").read_text() == "new"
    assert not list(tmp_path.rglob(f"{NEW}*"))


@pytest.mark.parametrize("mode", [0o600, 0o664, 0o755])
def test_permission_bits_are_kept(tmp_path: Path, mode: int) -> None:
    plant(tmp_path, {"file": "old", "env/lock.json": "old"})
    for path in (tmp_path / "file", tmp_path / "env" / "lock.json"):
        path.chmod(mode)
    write_text(tmp_path / "file", "new")
    replace_folder(tmp_path / "env", {"lock.json": "new"})
    assert tree(tmp_path) == {"file": "new", "env/lock.json": "new"}
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("file", "env/lock.json")]
    assert modes == [mode, mode]


@pytest.mark.parametrize("through_a_link", [True, False])
@pytest.mark.parametrize("kind", ["folder", "fifo", "device"])
def test_only_regular_files_are_replaced(tmp_path: Path, kind: str, *, through_a_link: bool) -> None:
    path = tmp_path / "it"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path = Path("/dev/null")
    if through_a_link:
        (tmp_path / "link").symlink_to(path)
        path = tmp_path / "link"
    before = path.lstat().st_mode
    with pytest.raises(UsageError, match=rf"{path} is not a regular file") as caught:
        write_text(path, "new")
    assert caught.value.hint is not None
    assert path.lstat().st_mode == before


def test_a_read_only_file_is_left_alone(unprivileged: Path) -> None:
    plant(unprivileged, {"file": "mine"})
    (unprivileged / "file").chmod(0o444)
    with pytest.raises(UsageError, match="file is read-only"):
        write_text(unprivileged / "file", "new")
    assert tree(unprivileged) == {"file": "mine"}


def test_a_read_only_folder(unprivileged: Path) -> None:
    folder = unprivileged / "env"
    plant(unprivileged, {"env/lock.json": "old", "env/notes/mine": "kept"})
    folder.chmod(0o555)
    with pytest.raises(PermissionError) as caught:
        write_text(folder / "page.md", "new")
    assert str(folder) in str(file_error(caught.value))
    for change in (lambda: replace_folder(folder, {"lock.json": "new"}), lambda: remove_files(folder, [])):
        with pytest.raises(UsageError, match="env is read-only"):
            change()
    assert tree(unprivileged) == {"env/lock.json": "old", "env/notes/mine": "kept"}
    folder.chmod(0o755)
    (folder / "notes").chmod(0o555)
    replace_folder(folder, {"lock.json": "new"})
    assert tree(unprivileged) == {"env/lock.json": "new", "env/notes/mine": "kept"}
    remove_folder(folder)
    assert list(unprivileged.iterdir()) == []


def test_a_full_disk_is_reported_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    plant(tmp_path, {"page": "old", "env/a": "old"})
    monkeypatch.setattr(os, "fsync", full)
    for change in (
        lambda: write_text(tmp_path / "page", "new"),
        lambda: replace_folder(tmp_path / "env", {"a": "new"}),
        lambda: replace_folder(tmp_path / "other", {"a": "new"}),
    ):
        with pytest.raises(OSError, match="No space") as caught:
            change()
        assert re.match(rf"{tmp_path}/\.metalock-new-.+: No space left", str(file_error(caught.value)))
        assert tree(tmp_path) == {"env/a": "old", "page": "old"}
        assert not has_leftovers(tmp_path)


def test_a_failing_last_step_puts_the_old_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if path.name.startswith(NEW):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return rename(path, target)

    plant(tmp_path, {"env/a": "old"})
    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="Input/output"):
        replace_folder(tmp_path / "env", {"a": "new"})
    assert tree(tmp_path) == {"env/a": "old"}
    assert not has_leftovers(tmp_path)


def test_replace_folder(tmp_path: Path) -> None:
    folder = tmp_path / "env"
    replace_folder(folder, {"a": "1", "b": "1"})
    plant(folder, {"mine": "kept", "sub/b": "kept"})
    (folder / "link").symlink_to("absent")
    plant(tmp_path, {f"{NEW}env/rubbish": "x", f"env/{NEW}a": "x"})
    replace_folder(folder, {"b": "2"})
    assert tree(tmp_path) == {"env/a": "1", "env/b": "2", "env/mine": "kept", "env/sub/b": "kept"}
    assert (folder / "link").readlink() == Path("absent")


def test_a_linked_own_file_becomes_a_file(tmp_path: Path) -> None:
    plant(tmp_path, {"env/a": "1", "mine": "kept"})
    (tmp_path / "env" / "b").symlink_to(tmp_path / "mine")
    replace_folder(tmp_path / "env", {"b": "2"})
    assert tree(tmp_path) == {"env/a": "1", "env/b": "2", "mine": "kept"}


def test_what_is_not_a_folder_is_refused(tmp_path: Path) -> None:
    plant(tmp_path, {"real/lock.json": "1", "file": "mine"})
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to("absent")
    os.mkfifo(tmp_path / "real" / "pipe")
    for name, message in {
        "link": "link is a symbolic link",
        "dangling": "dangling is a symbolic link",
        "file": "file is not a folder",
        "real": "real cannot be copied: .*pipe.* is a named pipe",
    }.items():
        for _ in range(2):
            with pytest.raises(UsageError, match=message) as caught:
                replace_folder(tmp_path / name, {"lock.json": "2"})
            assert caught.value.hint is not None
        assert not has_leftovers(tmp_path)
    (tmp_path / "real" / "pipe").unlink()
    assert tree(tmp_path) == {"file": "mine", "real/lock.json": "1"}


def test_a_linked_parent_is_worked_through(tmp_path: Path) -> None:
    plant(tmp_path, {"elsewhere/env/a": "1"})
    (tmp_path / "linux-64").symlink_to("elsewhere")
    replace_folder(tmp_path / "linux-64" / "env", {"a": "2"})
    assert tree(tmp_path / "elsewhere") == {"env/a": "2"}
    assert (tmp_path / "linux-64").is_symlink()


def test_remove_files(tmp_path: Path) -> None:
    plant(tmp_path, {"one/a": "1", "one/b": "1", f"one/{NEW}c": "x", "two/a": "1", "two/sub/a": "mine"})
    assert remove_files(tmp_path / "one", ["a", "b", "c"]) == []
    assert remove_files(tmp_path / "two", ["a", "b", "c"]) == ["sub"]
    assert tree(tmp_path) == {"two/sub/a": "mine"}
    assert not (tmp_path / "one").exists()


def test_remove_folder(tmp_path: Path) -> None:
    plant(tmp_path, {"env/a": "1", "other/a": "1", f"{NEW}env/rubbish": "x"})
    remove_folder(tmp_path / "env")
    assert tree(tmp_path) == {"other/a": "1"}


@pytest.mark.parametrize(
    ("left", "recovered", "result"),
    [
        ({}, [], {}),
        ({"e/a": "1"}, [], {"e/a": "1"}),
        ({"e/a": "1", f"{NEW}e/a": "2"}, [], {"e/a": "1"}),
        ({f"{OLD}e/a": "1", f"{NEW}e/a": "2"}, ["e"], {"e/a": "1"}),
        ({"e/a": "2", f"{OLD}e/a": "1"}, [], {"e/a": "2"}),
        ({f"{OLD}e/a": "1"}, ["e"], {"e/a": "1"}),
        ({f"{NEW}e/a": "1"}, [], {}),
        ({f"{OLD}tf2.9-py3.9/a": "1", "e/a": "1"}, ["tf2.9-py3.9"], {"tf2.9-py3.9/a": "1", "e/a": "1"}),
    ],
)
def test_recover_from(left: State, recovered: list[str], result: State, tmp_path: Path) -> None:
    plant(tmp_path, left)
    assert has_leftovers(tmp_path) == (left != result)
    assert recover_folders(tmp_path) == recovered
    assert tree(tmp_path) == dict(sorted(result.items()))
    assert not has_leftovers(tmp_path)
    assert recover_folders(tmp_path) == []


def test_what_a_user_has_is_no_leftover(tmp_path: Path) -> None:
    mine = {
        ".notes.old/a": "1",
        ".notes.new/a": "1",
        ".draft.new": "1",
        ".old": "1",
        f"{NEW}file": "1",
        f"{OLD}file": "1",
    }
    plant(tmp_path, mine)
    (tmp_path / f"{NEW}link").symlink_to(".notes.old")
    (tmp_path / f"{OLD}link").symlink_to(".notes.old")
    before = sorted(path.name for path in tmp_path.iterdir())
    assert not has_leftovers(tmp_path)
    assert recover_folders(tmp_path) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == before


class Killed(BaseException):
    """The end of the process, as far as a test can have it: nothing after it has an effect."""


_alive: list[int] = []
"""The steps that are left, while one of these tests runs."""
_CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.symlink", "os.utime")


def _step(event: str, args: tuple[object, ...]) -> None:
    if _alive and (event in _CHANGES or (event == "open" and isinstance(args[1], str) and args[1] != "r")):
        if _alive[0] == 0:
            raise Killed
        _alive[0] -= 1


sys.addaudithook(_step)


def is_killed(steps: int, change: Callable[[Path], None], root: Path) -> bool:
    """Make the change, but no more than so many steps of it; return whether that was too few."""
    _alive.append(steps)
    try:
        change(root)
    except Killed:
        return True
    finally:
        _alive.clear()
    return False


OLD_FILES = {"a": "old", "b": "old"}


def _replace(root: Path) -> None:
    replace_folder(root / "env", {"a": "new", "b": "new"})


def _remove(root: Path) -> None:
    remove_files(root / "env", ["a", "b"])


def _write(root: Path) -> None:
    write_text(root / "env" / "a", "new")


@pytest.mark.parametrize(
    ("change", "kept", "wanted"),
    [
        (_replace, {}, {"a": "new", "b": "new"}),
        (_replace, {"mine": "kept", "sub/mine": "kept"}, {"a": "new", "b": "new"}),
        (_remove, {}, {}),
        (_remove, {"mine": "kept", "sub/a": "kept"}, {}),
        (_write, {}, {"a": "new", "b": "old"}),
    ],
)
def test_a_kill_at_any_step_leaves_old_or_new(
    tmp_path: Path, change: Callable[[Path], None], kept: State, wanted: State
) -> None:
    seen = set()
    for steps in count():
        root = tmp_path / str(steps)
        plant(root / "env", OLD_FILES | kept)
        killed = is_killed(steps, change, root)
        recover_folders(root)
        found = {name: text for name, text in tree(root).items() if NEW not in name}
        old, new = (
            {f"env/{name}": text for name, text in sorted((state | kept).items())}
            for state in (OLD_FILES, wanted)
        )
        assert found in (old, new), steps
        seen.add(found == new)
        if (root / "env").exists():
            change(root)
        assert tree(root) == new
        assert not has_leftovers(root)
        if not killed:
            break
    assert seen == {True, False}


def test_only_one_run(tmp_path: Path) -> None:
    said: list[str] = []
    with only_one_run(tmp_path / "envs" / ".lock", said.append):
        assert (tmp_path / "envs" / ".lock").exists()
    with only_one_run(tmp_path / "envs" / ".lock", said.append):
        pass
    assert said == []


def test_a_users_file_is_not_taken_for_a_lock_file(tmp_path: Path) -> None:
    plant(tmp_path, {"text": "mine", "folder/a": "mine"})
    (tmp_path / "link").symlink_to("text")
    for name in ("text", "folder", "link"):
        with (
            pytest.raises(UsageError, match=f"{name} is not a lock file"),
            only_one_run(tmp_path / name, print),
        ):
            pass
    assert (tmp_path / "text").read_text() == "mine"
