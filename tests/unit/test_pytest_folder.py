"""The folder of pytest is made once, and again when it is damaged."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metalock.adapters.proc import Completed
from metalock.smoke import pytest_folder as module


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that uv was run for; it installs two files."""
    made: list[Path] = []

    def run(args: list[Any], **_: object) -> Completed:
        target = Path(args[args.index("--target") + 1])
        (target / "pytest").mkdir(parents=True)
        (target / "pytest" / "__init__.py").write_text("x = 1\n", encoding="utf-8")
        (target / "py.py").write_text("", encoding="utf-8")
        made.append(target)
        return Completed(code=0, stdout="", stderr="")

    monkeypatch.setattr(module, "run", run)
    return made


def _flip(folder: Path) -> None:
    (folder / "pytest" / "__init__.py").write_text("x = 2\n", encoding="utf-8")


def _link(folder: Path) -> None:
    (folder / "py.py").rename(folder.parent / "py.py")
    (folder / "py.py").symlink_to(folder.parent / "py.py")


def _pipe(folder: Path) -> None:
    (folder / "py.py").unlink()
    os.mkfifo(folder / "py.py")


def _linked_folder(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(folder.with_name("elsewhere"))


DAMAGES: list[Callable[[Path], object]] = [
    _flip,
    _link,
    _pipe,
    _linked_folder,
    lambda folder: os.truncate(folder / "py.py", 1 << 40),
    lambda folder: (folder / "py.py").unlink(),
    lambda folder: (folder / "py.py").rename(folder / "os.py"),
    lambda folder: (folder / "sitecustomize.py").touch(),
    lambda folder: (folder / module.DIGEST).unlink(),
    lambda folder: (folder / module.DIGEST).write_text("None", encoding="utf-8"),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_folder_is_made_again(
    made: list[Path], tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    folder = module.suite_tools(tmp_path, None)
    assert module.suite_tools(tmp_path, None) == folder
    assert len(made) == 1
    damage(folder)
    assert module.suite_tools(tmp_path, None) == folder
    assert len(made) == 2
    assert not folder.is_symlink()
    assert sorted(path.name for path in folder.iterdir()) == [module.DIGEST, "py.py", "pytest"]
    assert (folder / "pytest" / "__init__.py").read_text(encoding="utf-8") == "x = 1\n"
    module.suite_tools(tmp_path, None)
    assert len(made) == 2
