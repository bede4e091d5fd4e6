"""The wheel, in an environment of its own: a new project from nothing."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from integration.conftest import World

ROOT = Path(__file__).parents[2]


def run(*args: str | Path, cwd: Path) -> str:
    done = subprocess.run(args, cwd=cwd, check=False, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (wheel,) = folder.glob("metalock-*.whl")
    return wheel


@pytest.fixture
def metalock(wheel: Path, tmp_path: Path) -> Path:
    """The command, installed from the wheel; what it depends on is the tests' own environment's."""
    venv.create(tmp_path / "fresh", symlinks=True)
    python = tmp_path / "fresh" / "bin" / "python"
    (site,) = (tmp_path / "fresh" / "lib").glob("python*/site-packages")
    uv = Path(sysconfig.get_path("scripts")) / "uv"
    run(uv, "pip", "install", "--offline", "--no-deps", "--python", python, wheel, cwd=tmp_path)
    (site / "zz-dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    where = run(python, "-c", "import metalock; print(metalock.__file__)", cwd=tmp_path)
    assert where.startswith(str(tmp_path)), "the wheel's, not the checkout's"
    return tmp_path / "fresh" / "bin" / "metalock"


def test_a_new_project(metalock: Path, world: World, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    assert "next: run `metalock list`, then `metalock env`" in run(metalock, "init", cwd=folder)
    assert {path.name for path in folder.iterdir()} == {".gitignore", "Makefile", "matrix.toml", "templates"}
    assert len(list((folder / "templates").iterdir())) == 3
    assert "tf2.18-py3.11" in run(metalock, "list", cwd=folder)
    assert "2 locked" in run(metalock, "env", cwd=folder)
    for platform in ("linux-64", "osx-arm64"):
        text = (folder / "envs" / platform / "tf2.18-py3.11" / "environment.yml").read_text(encoding="utf-8")
        assert "  - python=3.11.14=h0_0\n" in text
        assert "      - tensorflow==2.18.1 --hash=sha256:" in text
    run(metalock, "env", "--check", cwd=folder)
    run(metalock, "check", cwd=folder)
    again = subprocess.run([metalock, "init"], cwd=folder, check=False, capture_output=True, encoding="utf-8")
    assert again.returncode == 2
    assert "exists already" in again.stderr


def test_the_wheel_has_the_templates_as_files(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        for template in sorted((ROOT / "templates").iterdir()):
            assert archive.read(f"metalock/templates/{template.name}") == template.read_bytes()
    assert not [name for name in names if name.startswith("templates")]
    starter = {path.name for path in (ROOT / "src" / "metalock" / "starter").iterdir()}
    assert {name.rpartition("/")[2] for name in names if name.startswith("metalock/starter/")} == starter
