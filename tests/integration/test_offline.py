"""Without the channel, without the index, without either."""

from __future__ import annotations

import shutil

import pytest

from integration.conftest import Project, World

NOWHERE = "http://127.0.0.1:9"
NEW_ROW = """
[stack."tf2.18-old-numpy"]
python = ["3.11"]
tensorflow = "2.18.1"
numpy = "1.26.4"
"""
NEW_CELL = "linux-64/tf2.18-old-numpy-py3.11"
SAID = "conda channel conda-forge cannot be reached"


@pytest.fixture
def grown(world: World, locked: Project) -> Project:
    """With a row that needs a solve: its floor is nobody else's."""
    locked.write(f'{locked.matrix}{NEW_ROW}\n[stack."tf2.18-old-numpy".linux-64]\nglibc = "2.31"\n')
    return locked


def test_offline_never_asks_the_channel(world: World, grown: Project) -> None:
    others = grown.files()
    done = grown.run("env", "--offline")
    assert not world.asked("conda-forge")
    assert world.asked("/simple/numpy")
    assert SAID not in done.err
    assert grown.files() == others | grown.files("old-numpy")
    assert "python-3.11.14-h0_0.conda" in grown.read(NEW_CELL)


def test_offline_gives_the_same_bytes(world: World, grown: Project) -> None:
    grown.run("env", "--offline")
    offline = grown.files()
    for cell in (NEW_CELL, NEW_CELL.replace("linux-64", "osx-arm64")):
        shutil.rmtree(grown.path(cell).parent)
    grown.run("env")
    assert grown.files() == offline


def test_offline_without_the_record(world: World, grown: Project) -> None:
    grown.edit('python = ["3.11", "3.12"]', 'python = ["3.11", "3.12", "3.13"]')
    failed = grown.run("env", "--offline", code=3)
    assert "linux-64/tf2.18-py3.13: " in failed.err
    assert "from the records of the committed locks alone" in failed.err
    assert "nearest that works: linux-64/tf2.18-py3.12" in failed.err
    assert grown.path(NEW_CELL).exists()


def test_a_channel_that_nobody_serves(world: World, grown: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDA_CHANNEL_ALIAS", NOWHERE)
    done = grown.run("env")
    assert done.err.count(SAID) == 1
    assert sum("cannot be reached" in line for line in done.err.splitlines()) == 1
    assert "2 locked, 6 up to date" in done.err


def test_an_index_that_nobody_serves(world: World, grown: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The channel answers, so this is no work without network, and the cache isn't asked."""
    before = grown.files()
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"{NOWHERE}/simple")
    failed = grown.run("env", code=4)
    assert failed.err.count("package index: ") == 1
    assert "Traceback" not in failed.err
    assert grown.files() == before


@pytest.mark.parametrize("args", [["env"], ["env", "--offline"]])
def test_no_network_but_a_cache(world: World, grown: Project, args: list[str]) -> None:
    """The new row's conda part comes from the other rows' locks, its wheels from what uv has seen."""
    grown.run("env")
    complete = grown.files()
    for cell in (NEW_CELL, NEW_CELL.replace("linux-64", "osx-arm64")):
        shutil.rmtree(grown.path(cell).parent)
    world.stop()
    done = grown.run(*args)
    assert done.err.count(SAID) == (0 if "--offline" in args else 1)
    assert grown.files() == complete


def test_no_network_and_no_cache(world: World, grown: Project) -> None:
    world.stop()
    before = grown.files()
    failed = grown.run("env", code=4)
    assert "package index: " in failed.err
    assert "cache" in failed.err
    assert "Traceback" not in failed.err
    assert grown.files() == before
