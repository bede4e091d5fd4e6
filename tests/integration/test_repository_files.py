"""The files for tools around the repository: they agree with each other and with what is committed."""

from __future__ import annotations

import configparser
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def git(*args: str) -> list[str]:
    done = subprocess.run(["git", *args], cwd=ROOT, check=True, capture_output=True, encoding="utf-8")
    return done.stdout.split("\0")[:-1]


@pytest.fixture(autouse=True)
def checkout() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")


def attributes(*names: str) -> dict[str, dict[str, str]]:
    """Attribute values of every committed file."""
    fields = git("check-attr", "-z", *names, "--", *git("ls-files", "-z"))
    found: dict[str, dict[str, str]] = {}
    for path, name, value in zip(fields[::3], fields[1::3], fields[2::3], strict=True):
        found.setdefault(path, {})[name] = value
    return found


def test_generated_files_are_marked() -> None:
    marked = {path for path, found in attributes("linguist-generated").items() if "set" in found.values()}
    assert {"docs/answers.md", "docs/compatibility/tensorflow-metal.osx-arm64.json"} <= marked
    assert {path for path in marked if path.startswith("envs/")} == {
        path for path in git("ls-files", "-z") if re.fullmatch(r"envs/.+\.json", path)
    }
    assert not marked & {"README.md", "docs/compatibility/README.md", "docs/audit.md", "matrix.toml"}


def test_every_committed_text_has_unix_line_ends() -> None:
    kinds = {path: found["text"] for path, found in attributes("text").items()}
    assert {path for path, kind in kinds.items() if kind == "unset"} == {
        path for path in kinds if path.endswith(".zip")
    }
    for line in git("ls-files", "-z", "--eol"):
        assert line.startswith(("i/lf ", "i/none ", "i/-text ", "i/ ")), line


def test_the_editor_and_the_linter_agree() -> None:
    editor = configparser.ConfigParser()
    editor.read_string("[top]\n" + (ROOT / ".editorconfig").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert editor.getint("*.py", "max_line_length") == project["tool"]["ruff"]["line-length"]
    assert editor.get("Makefile", "indent_style") == "tab"
    for path in git("ls-files", "-z", "*.py", "*.md", "*.toml", "*.yml", "*.json", "*.j2", "Makefile"):
        text = (ROOT / path).read_text(encoding="utf-8")
        assert not re.search(r"[ \t]$", text, re.MULTILINE), path
        assert text.endswith("\n") or not text, path


def test_the_hooks_need_no_download() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for repository in config["repos"]:
        assert repository["repo"] == "local"
        for hook in repository["hooks"]:
            assert hook["language"] == "system"
            target = hook["entry"].split()[-1]
            assert re.search(rf"^{target}: ", makefile, re.MULTILINE), target


def test_the_tools_lock_names_no_index() -> None:
    text = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")
    assert "://" not in text
    assert "index-url" not in text
