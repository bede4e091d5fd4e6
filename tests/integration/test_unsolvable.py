"""What cannot be solved is reported with its cell, its reason and a way out, while the rest is done."""

from __future__ import annotations

import pytest

from integration.conftest import CELLS, Project, World
from integration.index import make_wheel


def test_no_such_python_in_the_channel(world: World, project: Project) -> None:
    project.edit('python = ["3.11", "3.12"]', 'python = ["3.11", "3.12", "3.14"]')
    failed = project.run("env", code=3)
    assert "linux-64/tf2.18-py3.14: " in failed.err
    assert "osx-arm64/tf2.18-py3.14: " in failed.err
    assert "No candidates were found for python 3.14.*" in failed.err
    assert failed.err.count("nearest that works: linux-64/tf2.18-py3.12") == 1
    assert "6 locked, 2 failed" in failed.err
    assert all(project.path(cell).exists() for cell in CELLS)
    assert not project.path("linux-64/tf2.18-py3.14").exists()


def test_a_conda_package_that_clashes(world: World, locked: Project) -> None:
    before = locked.files()
    locked.edit('conda = { pip = "*" }', 'conda = { pip = "*", setuptools = ">81" }')
    failed = locked.run("env", code=3)
    assert "setuptools >81" in failed.err
    assert locked.files() == before


def test_pins_that_clash(world: World, project: Project) -> None:
    world.wheels.append(make_wheel("numpy", "2.2.0"))
    world.publish()
    project.edit('numpy = ">=1.26,<2"', 'numpy = "2.2.0"')
    failed = project.run("env", code=3)
    assert "linux-64/tf2.17-py3.11: No solution found" in failed.err
    assert "depends on numpy<2.1" in failed.err
    assert "you require tensorflow==2.17.1" in failed.err
    assert "you require numpy==2.2.0" in failed.err
    assert "nearest that works: linux-64/tf2.18-py3.11" in failed.err
    assert "4 locked, 2 failed" in failed.err


def test_no_wheel_for_a_platform(world: World, project: Project) -> None:
    project.edit('numpy = ">=1.26,<2"', 'numpy = ">=1.26,<2"\ntensorflow-io = "0.37.1"')
    failed = project.run("env", code=3)
    assert "osx-arm64/tf2.17-py3.11: " in failed.err
    assert "tensorflow-io" in failed.err
    assert "macosx" in failed.err or "platform" in failed.err
    assert "nearest that works: osx-arm64/tf2.18-py3.11" in failed.err
    assert project.path("linux-64/tf2.17-py3.11").exists()
    assert "5 locked, 1 failed" in failed.err


def test_both_would_install_it(world: World, project: Project) -> None:
    project.edit('"packaging", "setuptools", "wheel"', '"packaging", "wheel"')
    failed = project.run("env", code=3)
    assert failed.err.count("conda installs setuptools 80.9.0 and pip would install setuptools 80.9.0") == 6
    assert 'add "setuptools" to packages.from-conda' in failed.err
    assert "nearest" not in failed.err, "none works"
    assert project.files() == {}
    project.edit('"packaging", "wheel"', '"packaging", "setuptools", "wheel"')
    project.run("env")


def test_conda_keeps_its_copy_only_if_it_fits(world: World, project: Project) -> None:
    """What conda installs binds the pip part."""
    world.wheels.append(make_wheel("wrapt-user", "1.0", ["wheel>=0.46"]))
    world.publish()
    project.edit('pip = { pillow = "*" }', 'pip = { pillow = "*", wrapt-user = "*" }')
    failed = project.run("env", code=3)
    assert "wheel>=0.46" in failed.err
    assert "wheel==0.45.1" in failed.err


@pytest.mark.parametrize("args", [["--env", "tf2.18-py3.11"], ["--platform", "linux-64"]])
def test_a_selection_that_works_is_not_hindered(world: World, project: Project, args: list[str]) -> None:
    project.edit('numpy = ">=1.26,<2"', 'numpy = "1.25.0"')
    project.edit('python = ["3.11", "3.12"]', 'python = ["3.11", "3.12", "3.14"]')
    code = 0 if "--env" in args else 3
    done = project.run("env", *args, code=code)
    assert "2 locked" in done.err
