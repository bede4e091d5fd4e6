from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from metalock.adapters import cache as module
from metalock.adapters.cache import Cache
from metalock.errors import ToolError


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    cache = Cache(tmp_path / "cache", limit=1000)
    cache.prepare()
    return cache


def put(cache: Cache, name: str, data: bytes, age: int = 0) -> None:
    def dump(stream: IO[bytes]) -> None:
        stream.write(data)

    cache.write(name, dump)
    if age:
        os.utime(cache.folder / "facts" / name, (1_000_000 - age, 1_000_000 - age))


def names(cache: Cache) -> list[str]:
    return sorted(path.name for path in (cache.folder / "facts").iterdir())


def test_entries(cache: Cache) -> None:
    assert cache.read("a") is None
    put(cache, "a", b"1")
    put(cache, "a", b"2")
    assert cache.read("a") == b"2"
    cache.discard("a")
    cache.discard("a")
    assert cache.read("a") is None


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _cut_the_start(path: Path) -> None:
    path.write_bytes(path.read_bytes()[1:])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)


def _flip_the_seal(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def _other_entry(path: Path) -> None:
    path.with_name("other").replace(path)


def _link(path: Path) -> None:
    path.rename(path.parents[1] / "elsewhere")
    path.symlink_to(path.parents[1] / "elsewhere")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "file").touch()


def _huge(path: Path) -> None:
    os.truncate(path, 1 << 40)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES = [
    _truncate, _cut_the_start, _flip, _flip_the_seal, _other_entry, _link, _pipe, _folder, _huge, _empty,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_removed(cache: Cache, damage: Callable[[Path], None]) -> None:
    put(cache, "other", b"other")
    put(cache, "a", b"found")
    damage(cache.folder / "facts" / "a")
    assert cache.read("a") is None
    assert not os.path.lexists(cache.folder / "facts" / "a")
    put(cache, "a", b"again")
    assert cache.read("a") == b"again"
    assert not (cache.folder / "elsewhere").exists() or (cache.folder / "elsewhere").read_bytes()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_replaced_unread(cache: Cache, damage: Callable[[Path], None]) -> None:
    put(cache, "other", b"other")
    put(cache, "a", b"found")
    damage(cache.folder / "facts" / "a")
    put(cache, "a", b"again")
    assert cache.read("a") == b"again"


def test_a_mapped_entry_is_bound_to_its_name(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAPPED", 3)
    put(cache, "a", b"1234")
    (cache.folder / "facts" / "a").rename(cache.folder / "facts" / "b")
    assert cache.map("b") is None


def test_an_entry_too_large_to_be_read_is_removed(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LARGEST", 3)
    put(cache, "a", b"1234")
    assert cache.read("a") is None
    assert not cache.has("a")


def test_large_entries_are_mapped(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAPPED", 3)
    put(cache, "a", b"1234")
    found = cache.map("a")
    assert isinstance(found, mmap.mmap)
    assert found[:] == b"1234"


def test_the_oldest_go(cache: Cache) -> None:
    for age, name in enumerate("dcba"):
        put(cache, name, b"x" * 160, age=age + 1)
    (cache.wheels / "e.part").write_bytes(b"x" * 100)
    os.utime(cache.wheels / "e.part", (0, 0))
    assert cache.read("a")  # the oldest, but used just now
    put(cache, "f", b"x" * 160)
    assert names(cache) == ["a", "c", "d", "f"]
    assert list(cache.wheels.iterdir()) == []


def test_one_entry_may_be_larger_than_the_limit(cache: Cache) -> None:
    put(cache, "a", b"x", age=1)
    put(cache, "b", b"x" * 2000)
    assert names(cache) == ["b"]


def test_a_failure_leaves_nothing(cache: Cache) -> None:
    def dump(stream: IO[bytes]) -> None:
        stream.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.write("a", dump)
    assert names(cache) == []


def test_turns(cache: Cache) -> None:
    """The second comes when the first has gone."""
    order = []

    def second() -> None:
        with cache.turn("ab" * 32):
            order.append("second")

    thread = threading.Thread(target=second)
    with cache.turn("ab" * 32):
        thread.start()
        thread.join(0.1)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_folder_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ToolError, match=r"can't be written"):
        Cache(tmp_path / "file").prepare()
