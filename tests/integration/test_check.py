"""Is the matrix still true of the index? Findings exit with 1; an index that fails is none."""

from __future__ import annotations

import json

import pytest

from integration.conftest import Project, World
from integration.index import MAC, MANY, changed, make_wheel
from metalock.adapters.http import Limits

UNAVAILABLE = """
[stack."tf2.17".linux-64]
tensorflow-io = { version = "0.38.0", unavailable = "0.37.1 is the last release." }
"""
WHOLE_ROW_UNAVAILABLE = """
[stack."tf2.17".osx-arm64]
unavailable = "Nobody built it."
"""


def codes(project: Project, *args: str) -> list[str]:
    """Of the findings, and the exit code that goes with them."""
    ended = project.run("check", "--json", *args, code=1)
    return sorted(finding["code"] for finding in json.loads(ended.out))


def test_all_is_well(world: World, locked: Project) -> None:
    checked = locked.run("check")
    assert (checked.out, checked.err.splitlines()[-1]) == ("", "no findings")


def test_a_locked_wheel_is_gone(world: World, locked: Project) -> None:
    world.wheels = [wheel for wheel in world.wheels if not wheel.file.startswith("keras-3.6.0-")]
    world.publish()
    found = locked.run("check", code=1)
    assert "I002 keras-3.6.0-py3-none-any.whl" in found.out
    assert found.out.count("I002") == 1, "one wheel, though many environments lock it"


def test_a_whole_project_is_gone(world: World, locked: Project) -> None:
    world.wheels = [wheel for wheel in world.wheels if wheel.project != "pillow"]
    world.publish()
    assert codes(locked) == ["I002"] * 4


def test_a_locked_wheel_has_another_hash(world: World, locked: Project) -> None:
    world.wheels = changed(world.wheels, "keras-3.6.0-", claimed="e" * 64)
    world.publish()
    found = locked.run("check", code=1)
    assert f"the index says {'e' * 64}" in found.out
    assert found.out.count("I003") == 1


@pytest.mark.parametrize("pages", ["JSON", "HTML"])
def test_a_locked_wheel_is_yanked(world: World, locked: Project, pages: str) -> None:
    world.wheels = changed(world.wheels, "keras-3.6.0-", yanked=True)
    world.publish(html_only=pages == "HTML")
    found = locked.run("check", code=1)
    assert "I004 keras-3.6.0-py3-none-any.whl" in found.out
    assert "`metalock env --upgrade keras`" in found.out


def test_the_unavailable_stays_so(world: World, locked: Project) -> None:
    locked.write(locked.matrix + UNAVAILABLE)
    locked.run("check")


def test_a_whole_environment_appeared(world: World, locked: Project) -> None:
    locked.write(locked.matrix + WHOLE_ROW_UNAVAILABLE)
    assert codes(locked) == ["D005", "I001"], "its lock is still there"
    world.wheels = [wheel for wheel in world.wheels if not wheel.file.startswith("tensorflow-2.17")]
    world.publish()
    assert "I001" not in codes(locked)


def test_something_unavailable_appeared(world: World, locked: Project) -> None:
    """A release after the cut-off counts: the index is asked as it is today."""
    locked.write(locked.matrix + UNAVAILABLE)
    world.wheels.append(make_wheel("tensorflow-io", "0.38.0", tag=f"cp311-cp311-{MANY}", date="2026-09-09"))
    world.publish()
    found = locked.run("check", code=1)
    assert 'I001 stack."tf2.17".linux-64.tensorflow-io on Python 3.11: ' in found.out
    assert "the index has tensorflow_io-0.38.0" in found.out
    assert "0.37.1 is the last release." in found.out


def test_a_wheel_for_another_system_is_no_news(world: World, locked: Project) -> None:
    locked.write(locked.matrix + UNAVAILABLE)
    world.wheels += [
        make_wheel("tensorflow-io", "0.38.0", tag=f"cp311-cp311-{MAC}"),
        make_wheel("tensorflow-io", "0.38.0", tag=f"cp312-cp312-{MANY}"),
        make_wheel("tensorflow-io", "0.38.0", tag="cp311-cp311-manylinux_2_35_x86_64"),
    ]
    world.publish()
    locked.run("check")


def test_pins_that_contradict(world: World, locked: Project) -> None:
    locked.edit('numpy = ">=1.26,<2"', 'numpy = ">=1.26,<2"\npackages = { keras-user = "1.0" }')
    world.wheels.append(make_wheel("keras-user", "1.0", ["keras>=4"]))
    world.publish()
    before = locked.files()
    assert codes(locked) == ["D002", "D002", "P001", "P001"]
    assert "keras>=4" in locked.run("check", code=1).out
    assert locked.files() == before


def test_a_selection(world: World, locked: Project) -> None:
    world.wheels = changed(world.wheels, "tensorflow-2.17.1-cp311-cp311-macosx", yanked=True)
    world.publish()
    assert codes(locked) == ["I004"]
    locked.run("check", "--platform", "linux-64")
    locked.run("check", "--env", "tf2.18-py3.12")


def test_offline_leaves_the_index_alone(world: World, locked: Project) -> None:
    world.stop()
    locked.run("check", "--offline")
    locked.path("linux-64/tf2.18-py3.11", "conda.lock").unlink()
    assert codes(locked, "--offline") == ["D003"]


@pytest.mark.parametrize(
    "what", [{"status": 500}, {"status": 403}, {"truncate": True}, {"garbage": b"<html>Please log in"}, None]
)
def test_an_index_that_fails_is_no_finding(
    world: World, locked: Project, monkeypatch: pytest.MonkeyPatch, what: dict[str, object] | None
) -> None:
    monkeypatch.setattr("metalock.adapters.http.DEFAULT", Limits(tries=0))
    if what is None:
        world.stop()
        failed = locked.run("check", code=4)
    else:
        with world.site.failing("/simple/", **what):
            failed = locked.run("check", code=4)
    assert failed.out == ""
    assert "error: package index" in failed.err
    assert "hint: Check the network, and the index that " in failed.err
    assert "Traceback" not in failed.err


def test_a_page_that_breaks_off_once(world: World, locked: Project) -> None:
    with world.site.failing("/simple/numpy", truncate=True, times=1):
        locked.run("check")
    with world.site.failing("/simple/numpy", status=503, times=1):
        locked.run("check")
