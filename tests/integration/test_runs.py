"""Runs as processes: killed, interrupted, two at once, and the same bytes wherever they run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from integration.conftest import CELLS, MATRIX, Project, World, end
from integration.servers import wait_until
from metalock.lock.text import parse_lock
from metalock.render import RENDERED, TEMPLATE_SUFFIX
from metalock.workspace import Standing, Workspace

KILLS = 50
FOREIGN = "audit.json"
IN_BACKGROUND = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")
"""Runs a command as a shell runs one that ends with &."""


def write_templates(project: Project, mark: str) -> None:
    """metalock's own templates, all of them marked."""
    own = Path(__file__).parents[2] / "templates"
    folder = project.root / "templates"
    folder.mkdir(exist_ok=True)
    for name in RENDERED:
        text = (own / f"{name}{TEMPLATE_SUFFIX}").read_text(encoding="utf-8")
        (folder / f"{name}{TEMPLATE_SUFFIX}").write_text(f"# {mark}\n{text}", encoding="utf-8")


def assert_whole(project: Project, cell: str, renderers: list[Workspace]) -> None:
    """A foreign file alone, or one lock with what it renders to: all files of the same templates."""
    assert project.read(cell, FOREIGN) == cell
    if not project.path(cell).exists():
        assert [path.name for path in project.path(cell).parent.iterdir()] == [FOREIGN]
        return
    lock = parse_lock(project.read(cell))
    (known,) = [c for c in renderers[0].cells() if c.name == cell]
    found = {name: project.read(cell, name) for name in RENDERED}
    assert any(found == workspace.render(known, lock) for workspace in renderers), f"{cell} is mixed"


def test_killed_at_any_moment(world: World, locked: Project) -> None:
    chance = random.Random(2024)
    without = MATRIX.split('[stack."tf2.17"]')[0]
    matrices = [MATRIX, MATRIX.replace('pillow = "*"', 'pillow = ">=11"'), without]
    renderers = []
    for mark in ("second", "first"):
        write_templates(locked, mark)
        renderers.append(locked.workspace)
    locked.run("env")
    for cell in CELLS:
        locked.path(cell, FOREIGN).write_text(cell, encoding="utf-8")
    killed = 0
    for round_ in range(10 * KILLS):
        if killed == KILLS:
            break
        solving = round_ % 5 == 0
        if solving:
            locked.write(matrices[chance.randrange(3)])
        write_templates(locked, ("first", "second")[round_ % 2])
        process = locked.spawn("env")
        time.sleep(chance.uniform(0.18, 0.9 if solving else 0.36))
        process.send_signal(signal.SIGKILL)
        killed += end(process).code == -signal.SIGKILL
        for cell in CELLS:
            if locked.path(cell).parent.exists():
                assert_whole(locked, cell, renderers)
    assert killed == KILLS
    locked.write()
    locked.run("env")
    states = [locked.workspace.state(cell) for cell in locked.workspace.cells()]
    assert {state.standing for state in states} == {Standing.CURRENT}
    assert [locked.read(cell, FOREIGN) for cell in CELLS] == CELLS
    assert not list((locked.root / "envs").glob("*/.*")), "rubbish is left"


@pytest.mark.parametrize("whom", ["metalock", "its whole group"])
def test_interrupted(world: World, project: Project, whom: str) -> None:
    with world.site.failing(r"tensorflow_metal.*\.metadata", delay=1.5):
        process = project.spawn("env", "--jobs", "6", start_new_session=True)
        wait_until(lambda: all(project.path(cell).exists() for cell in CELLS[:3]))
        (os.kill if whom == "metalock" else os.killpg)(process.pid, signal.SIGINT)
        ended = end(process)
    assert ended.code == 130
    assert "interrupted; finished work is kept" in ended.err
    assert "Traceback" not in ended.err
    assert all(project.path(cell).exists() for cell in CELLS[:3])
    project.run("env")
    project.run("env", "--check")


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 130)])
def test_a_background_job_of_a_shell(world: World, project: Project, how: signal.Signals, code: int) -> None:
    """It has SIGINT ignored from the start, and leaves that so; SIGTERM ends it."""
    with world.site.failing(r"tensorflow_metal.*\.metadata", delay=1.5):
        process = project.spawn("env", "--jobs", "6", before=IN_BACKGROUND)
        wait_until(lambda: all(project.path(cell).exists() for cell in CELLS[:3]))
        process.send_signal(how)
        ended = end(process)
    assert ended.code == code
    assert ("interrupted; finished work is kept" in ended.err) is (code != 0)


def test_tests_in_the_background_start_programs_that_can_be_interrupted() -> None:
    print_it = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    start = f"import conftest, os, signal, subprocess, sys; os.kill(os.getpid(), signal.SIGINT); \
        subprocess.run([sys.executable, '-c', {print_it!r}], check=True)"
    command = [*IN_BACKGROUND, sys.executable, "-c", start]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(command, env=environ, check=True, capture_output=True, encoding="utf-8")
    assert done.stdout == "True\n"


def test_two_runs_at_once(world: World, project: Project) -> None:
    with world.site.failing("simple/pillow", times=1, delay=1.5):
        first = project.spawn("env")
        wait_until(lambda: world.asked("simple/pillow"))
        second = end(project.spawn("env"))
        assert end(first).code == 0
    assert second.code == 0
    assert f"another metalock run holds {project.root / 'envs' / '.lock'}; waiting" in second.err
    assert "6 up to date" in second.err


def test_the_same_bytes_everywhere(world: World, locked: Project, tmp_path: Path) -> None:
    worlds = [
        {"PYTHONHASHSEED": "1", "LC_ALL": "C", "TZ": "Pacific/Kiritimati"},
        {"PYTHONHASHSEED": "4711", "LC_ALL": "tr_TR.UTF-8", "LANGUAGE": "de", "TZ": "America/St_Johns"},
    ]
    for number, environ in enumerate(worlds):
        clone = Project(tmp_path / f"clone ü {number}")
        clone.root.mkdir()
        clone.write()
        elsewhere = tmp_path / f"elsewhere {number}"
        elsewhere.mkdir()
        where = os.path.relpath(clone.root, elsewhere) if number else str(clone.root)
        caches = {"XDG_CACHE_HOME": str(elsewhere), "UV_CACHE_DIR": str(elsewhere / "uv")}
        ended = end(
            clone.spawn(
                "env", "--matrix", f"{where}/matrix.toml", "--jobs", str(1 + 5 * number),
                environ=environ | caches, cwd=elsewhere,
            )
        )  # fmt: skip
        assert ended.code == 0, ended.err
        assert clone.files() == locked.files()


def test_the_exit_code_survives_a_hasty_end(world: World, locked: Project) -> None:
    """The solver's threads used to abort one process in fifty that ended right after a solve."""
    with world.site.failing("repodata_shards", status=403):
        processes = [locked.spawn("env", "--env", "tf2.17-py3.11", "--upgrade") for _ in range(6)]
        assert {end(process).code for process in processes} == {4}
