"""Servers that fail: retried where that may help, then one clear error, and nothing overwritten."""

from __future__ import annotations

import itertools
import shutil
import time

import pytest

from integration.conftest import CELLS, Project, World
from integration.index import changed
from metalock.adapters import conda, http

PLACES = {
    "repodata": (False, r"/repodata\.json\.zst"),
    "shard index": (True, r"/repodata_shards"),
    "shards": (True, r"/shards/"),
    "project pages": (False, r"/simple/"),
    "wheel metadata": (False, r"\.metadata$"),
}
WRONG: dict[str, dict[str, object]] = {
    "500": {"status": 500},
    "truncated": {"truncate": True},
    "garbage": {"garbage": b"<html>Please log in</html>"},
    "403": {"status": 403},
}


@pytest.fixture
def stale(world: World, locked: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """One cell, locked, of which every part must be solved again."""
    monkeypatch.setattr(conda, "RETRIES", 1)
    locked.edit('[platform.osx-arm64]\nmacos = "12.0"\ndefault = "tf2.18-py3.11"\n', "")
    locked.write(locked.matrix.split('[stack."tf2.18".osx-arm64]')[0])
    locked.edit('python = ["3.11", "3.12"]', 'python = ["3.11"]')
    for cell in CELLS:
        if cell != "linux-64/tf2.18-py3.11":
            shutil.rmtree(locked.path(cell).parent)
    locked.edit('pillow = "*"', 'pillow = ">=11"')
    locked.edit('pip = "*"', 'pip = ">=20"')
    return locked


def assert_reported_well(text: str, place: str) -> None:
    """Which server, once, and nothing for programmers."""
    pip = place in ("project pages", "wheel metadata")
    named = "package index: " if pip else "conda channel conda-forge: "
    assert text.count(named) == 1
    assert text.count("\n  hint: ") == 1
    assert "Traceback" not in text
    assert len(text.splitlines()) <= 16


@pytest.mark.parametrize(
    ("place", "what"),
    [
        *itertools.product(list(PLACES)[1:], ["500", "truncated", "garbage"]),
        *itertools.product(["repodata"], ["500", "garbage", "403"]),
        ("project pages", "403"),
    ],
)
def test_a_server_that_keeps_failing(world: World, stale: Project, place: str, what: str) -> None:
    sharded, pattern = PLACES[place]
    world.publish(sharded=sharded)
    before = stale.files()
    with world.site.failing(pattern, **WRONG[what]):
        failed = stale.run("env", code=4)
    assert_reported_well(failed.err, place)
    assert stale.files() == before
    stale.run("env")
    stale.run("env", "--check")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("what", ["500", "truncated"])
def test_a_server_that_fails_once(
    world: World, stale: Project, monkeypatch: pytest.MonkeyPatch, place: str, what: str
) -> None:
    monkeypatch.setenv("UV_HTTP_RETRIES", "1")
    sharded, pattern = PLACES[place]
    world.publish(sharded=sharded)
    with world.site.failing(pattern, times=1, **WRONG[what]):
        stale.run("env")
    despite = stale.files()
    shutil.rmtree(stale.root / "envs")
    stale.run("env")
    assert stale.files() == despite


def test_a_channel_that_is_slow_to_send(
    world: World, stale: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conda, "RETRIES", 0)
    monkeypatch.setattr(conda, "TIMEOUT", 1)
    before = stale.files()
    with world.site.failing("repodata_shards", delay=4):
        failed = stale.run("env", code=4)
    assert "timed out" in failed.err
    assert_reported_well(failed.err, "shard index")
    assert stale.files() == before


def test_a_channel_that_says_nothing_counts_as_unreachable(
    world: World, stale: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "DEFAULT", http.Limits(probe=0.2))
    with world.site.failing("conda-forge", delay=4):
        done = stale.run("env")
    assert done.err.count("conda channel conda-forge cannot be reached") == 1
    assert "1 locked" in done.err


def test_an_index_that_is_slow(world: World, stale: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_HTTP_TIMEOUT", "1")
    before = stale.files()
    with world.site.failing("/simple/", delay=4):
        failed = stale.run("env", code=4)
    assert_reported_well(failed.err, "project pages")
    assert stale.files() == before


def test_servers_that_are_slow_but_not_too_slow(world: World, stale: Project) -> None:
    with world.site.failing("simple/numpy|repodata_shards", delay=0.3):
        assert "1 locked" in stale.run("env").err


def test_a_failing_channel_is_waited_for_once(
    world: World, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conda, "RETRIES", 0)
    start = time.monotonic()
    with world.site.failing("repodata_shards", delay=0.5, status=500):
        failed = project.run("env", "--jobs", "6", code=4)
    assert time.monotonic() - start < 4
    assert_reported_well(failed.err, "shard index")
    assert "failed with the same error: " in failed.err
    assert len(world.asked("repodata_shards")) <= 2


def test_a_locked_wheel_with_another_hash(world: World, stale: Project) -> None:
    world.wheels = changed(world.wheels, "pillow-12.0.0-", claimed="f" * 64)
    world.publish()
    before = stale.files()
    failed = stale.run("env", code=4)
    assert f"the server now says {'f' * 64}" in failed.err
    assert "`metalock env --upgrade pillow`" in failed.err
    assert stale.files() == before
    stale.run("env", "--upgrade", "pillow")
    assert "f" * 64 in stale.read("linux-64/tf2.18-py3.11")


def test_a_locked_conda_package_with_another_hash(world: World, stale: Project) -> None:
    world.channel["noarch"]["wheel-0.45.1-pyh4_0.conda"]["sha256"] = "f" * 64
    world.publish()
    stale.run("env")
    assert "f" * 64 not in stale.read("linux-64/tf2.18-py3.11"), "the locked record is the one to keep"
    stale.run("env", "--upgrade", "wheel")
    assert "f" * 64 in stale.read("linux-64/tf2.18-py3.11")


def test_an_index_without_hashes(world: World, stale: Project) -> None:
    world.wheels = changed(world.wheels, "pillow-", claimed="")
    world.publish(html_only=True)
    before = stale.files()
    failed = stale.run("env", code=4)
    assert "pillow" in failed.err
    assert "Traceback" not in failed.err
    assert stale.files() == before
