"""The process as a shell starts it: exit codes, closed pipes, size limits, Ctrl-C while modules load."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

METALOCK = [sys.executable, "-m", "metalock"]
MATRIX = """\
schema = 1
channels = ["conda-forge"]
exclude-newer = 2026-08-21T00:00:00Z
[platform.linux-64]
glibc = "2.28"
default = "tf2.0-py3.11"
"""
STACKS = "".join(
    f'[stack."tf2.{minor}"]\npython = ["3.10", "3.11"]\ntensorflow = "2.{minor}.0"\n' for minor in range(400)
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "matrix.toml").write_text(MATRIX + STACKS)
    return tmp_path


def limited(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def closed_pipe() -> int:
    """A pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.mark.parametrize(
    ("args", "closed"),
    [
        (["list"], ("stdout",)),
        (["list"], ("stderr",)),
        (["list"], ("stdout", "stderr")),
        (["list", "--json"], ("stdout",)),
        (["list", "--nosuch"], ("stderr",)),
        (["list", "--env", "nosuch"], ("stdout", "stderr")),
        (["--help"], ("stdout",)),
        (["list", "-h"], ("stdout", "stderr")),
    ],
)
def test_a_closed_pipe_ends_silently(folder: Path, args: list[str], closed: tuple[str, ...]) -> None:
    pipe = closed_pipe()
    process = subprocess.Popen(
        [*METALOCK, *args],
        cwd=folder,
        stdout=pipe if "stdout" in closed else subprocess.DEVNULL,
        stderr=pipe if "stderr" in closed else subprocess.PIPE,
    )
    os.close(pipe)
    _, err = process.communicate(timeout=60)
    assert not err
    assert process.returncode == (2 if "nosuch" in args else 141)


def test_a_full_disk_behind_stdout(folder: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*METALOCK, "list"], cwd=folder, stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (4, b"error: standard output: No space left on device\n")


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_a_full_disk_behind_help(folder: Path, option: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*METALOCK, option], cwd=folder, stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 4
    assert done.stderr == b"error: standard output or error: No space left on device\n"


def test_completion_for_a_shell_is_not_a_closed_output(folder: Path) -> None:
    environ = {**os.environ, "_METALOCK_COMPLETE": "zsh_source"}
    done = subprocess.run([*METALOCK], cwd=folder, env=environ, capture_output=True, check=False)
    assert b"compdef" in done.stdout
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_size_limit_names_the_file(folder: Path) -> None:
    done = subprocess.run(
        [*METALOCK, "answers", "--update", "page.md"],
        cwd=folder, capture_output=True, text=True, check=False, preexec_fn=limited(4096),
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},  # Python itself writes half a file at a limit
    )  # fmt: skip
    assert done.returncode == 4
    assert re.fullmatch(r"error: \S*page\.md\S*: File too large\n", done.stderr)
    assert not (folder / "page.md").exists()


def test_a_fifo_for_a_matrix(folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    done = subprocess.run(
        [*METALOCK, "list", "--matrix", "fifo"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (2, "error: fifo cannot be read: not a regular file\n")


SLOW = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's jobs in the background ignore it
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            print("loading", flush=True)
            time.sleep(60)
sys.meta_path.insert(0, Finder())
sys.argv = ["metalock", "list"]
from metalock.__main__ import run
run()
"""


@pytest.mark.parametrize("name", ["click", "metalock.cli", "jinja2", "metalock.overview.tiers"])
def test_ctrl_c_while_modules_are_loaded(folder: Path, name: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW.format(name=name)],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "loading\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    (line,) = err.splitlines()
    assert line.startswith("interrupted")


def test_a_fault_of_an_import_is_70(folder: Path) -> None:
    script = "import sys; sys.modules['metalock.cli'] = 5; sys.argv = ['metalock', 'list']\n"
    script += "from metalock.__main__ import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 70
    assert done.stderr.startswith("error: this is a fault of metalock (ImportError")
    assert len(done.stderr.splitlines()) == 1


HEAVY = {
    "rattler",
    "requests",
    "urllib3",
    "rich",
    "jinja2",
    "asyncio",
    "email.parser",
    "ssl",
    "importlib.metadata",
}


@pytest.mark.parametrize(("args", "needed"), [(["--help"], set()), (["list"], {"jinja2"})])
def test_nothing_is_imported_that_the_command_does_not_need(
    folder: Path, args: list[str], needed: set[str]
) -> None:
    command = [sys.executable, "-X", "importtime", *METALOCK[1:], *args]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "metalock.cli" in imported
    assert imported & HEAVY == needed
