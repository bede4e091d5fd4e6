"""Bytecode compiled ahead: not run, no more than needed, and never next to its sources."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from metalock.smoke.bytecode import compile_ahead, pycache_of
from metalock.smoke.process import ProcessSetup

SUITE = Path(__file__).parents[2] / "src" / "metalock" / "smoke" / "suite"


@pytest.fixture
def place(tmp_path: Path) -> ProcessSetup:
    """With a Keras of two modules, one of which can't be compiled, and no TensorFlow."""
    package = tmp_path / "packages" / "keras" / "src"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("raise ImportError", encoding="utf-8")
    (package / "models.py").write_text("x = 1", encoding="utf-8")
    (package / "python4.py").write_text("def", encoding="utf-8")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": str(tmp_path / "packages"),
        "PYTHONPYCACHEPREFIX": str(pycache_of(scratch)),
    }
    return ProcessSetup(
        python=Path(sys.executable),
        driver=SUITE / "driver.py",
        tools=tmp_path,
        scratch=scratch,
        environment=environment,
    )


def test_what_is_about_to_be_imported_is_compiled_and_not_run(place: ProcessSetup, tmp_path: Path) -> None:
    compile_ahead(place, bool)
    compiled = pycache_of(place.scratch) / tmp_path.relative_to("/") / "packages" / "keras"
    found = sorted(path.name.partition(".")[0] for path in compiled.rglob("*.pyc"))
    assert found == ["__init__", "models"]
    assert not list((tmp_path / "packages").rglob("__pycache__"))


def test_no_more_is_compiled_than_is_needed(place: ProcessSetup, tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text("while True: pass", encoding="utf-8")
    asked: list[bool] = []
    slow = replace(place, environment={**place.environment, "PYTHONPATH": str(tmp_path)})
    (tmp_path / "compileall.py").write_text("import endless", encoding="utf-8")

    def unneeded() -> bool:
        asked.append(True)
        return len(asked) > 3

    compile_ahead(slow, unneeded)
    assert len(asked) == 4
