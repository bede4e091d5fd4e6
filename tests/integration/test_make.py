"""The Makefile: its help, and the messages about an interpreter that cannot be used."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WIDTH = 80


def make(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *args], cwd=cwd, check=False, capture_output=True, encoding="utf-8")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What setting up needs, without a .venv."""
    folder = tmp_path / "clone"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements-dev.txt"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.mark.parametrize(
    ("program", "what"),
    [
        (None, "not a Python interpreter"),
        ("exit 0", "not a Python interpreter"),
        ("exit 1", "not a Python interpreter"),
        ("echo 3.10 False", "Python 3.10"),
        ("echo 2.7 False", "Python 2.7"),
    ],
)
def test_an_unfit_interpreter_gets_one_line(clone: Path, program: str | None, what: str) -> None:
    python = clone.parent / "python"
    if program is not None:
        python.write_text(f"#!/bin/sh\n{program}\n")
        python.chmod(0o755)
    done = make("test", f"PYTHON={python}", cwd=clone)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert f"metalock needs Python 3.11 or later, but {python} is {what}. Name another one" in line
    assert not (clone / ".venv").exists()


def test_a_fit_interpreter_is_used(clone: Path) -> None:
    python = clone.parent / "python"
    python.write_text('#!/bin/sh\n[ "$1" = -c ] && echo 3.14 True || { echo "$@" >&2; exit 7; }\n')
    python.chmod(0o755)
    assert "-m venv --clear .venv" in make("test", f"PYTHON={python}", cwd=clone).stderr


def test_help_fits_a_terminal() -> None:
    lines = make("--no-print-directory", "help", cwd=ROOT).stdout.splitlines()
    assert len(lines) > 15
    assert [line for line in lines if len(line) > WIDTH] == []
    for line in lines:
        assert re.fullmatch(r"make [a-z-]+ +", line[:22]), line
        assert line[22] != " ", line
