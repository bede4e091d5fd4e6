"""`metalock diff` in a repository of its own: what a pull request's summary is made from."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from metalock.cli import main

ROOT = Path(__file__).parents[2]
ENV = "tf2.18-py3.11"


def git(folder: Path, *args: str) -> None:
    user = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"]
    subprocess.run(["git", *user, *args], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(ROOT / "matrix.toml", tmp_path)
    shutil.copytree(ROOT / "envs" / "linux-64" / ENV, tmp_path / "envs" / "linux-64" / ENV)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def diff(*args: str) -> list[str]:
    result = CliRunner().invoke(main, ["diff", *args])
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def test_a_revision_that_does_not_exist(folder: Path) -> None:
    result = CliRunner().invoke(main, ["diff", "nosuch"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        f"error: git has no revision 'nosuch' in {folder}",
        "hint: Name a commit, branch or tag of the git repository that holds the matrix.",
    ]


def test_nothing_has_changed(folder: Path) -> None:
    assert diff() == ["no lock and no evidence has changed"]


def test_evidence_that_changed_since_a_revision(folder: Path) -> None:
    smoke = folder / "envs" / "linux-64" / ENV / "smoke.json"
    audit = smoke.with_name("audit.json")
    good = smoke.read_text(encoding="utf-8")
    smoke.write_text(good.replace("AMD EPYC", "<b>EPYC</b>"), encoding="utf-8")
    audit.unlink()
    removed, changed = diff()
    assert removed == f"- evidence removed: linux-64/{ENV}/audit.json"
    assert changed.startswith(
        f"- evidence changed: linux-64/{ENV}/smoke.json: Debian GNU/Linux 12 (bookworm), "
    )
    assert "&lt;b>EPYC&lt;/b> (venv), 2026-" in changed
    assert "works" in changed
    git(folder, "commit", "--quiet", "--all", "--message", "second")
    assert diff() == ["no lock and no evidence has changed"]
    assert diff("HEAD~1") == [removed, changed]
    smoke.write_text("{}", encoding="utf-8")
    (line,) = diff()
    assert line.startswith(f"- evidence changed: linux-64/{ENV}/smoke.json: not valid: schema: missing")
