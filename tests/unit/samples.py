"""Small matrices, cells and locks that the tests share."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from metalock.adapters.files import replace_folder
from metalock.errors import MatrixError
from metalock.lock.model import CondaPackage, Lock, PipPackage, cell_inputs
from metalock.lock.text import lock_text
from metalock.matrix.expand import expand
from metalock.matrix.model import Cell
from metalock.matrix.parse import parse_matrix
from metalock.platforms import Platform
from metalock.workspace import LOCK_FILE, Workspace, open_workspace

CHANNEL = "https://conda.anaconda.org/conda-forge"
HEAD = """\
schema = 1
channels = ["conda-forge"]
exclude-newer = 2026-08-21T00:00:00Z
"""
PLATFORMS = """\
[platform.osx-arm64]
macos = "12.0"
default = "tf2.18-py3.11"

[platform.linux-64]
glibc = "2.28"
default = "tf2.18-py3.11"
"""
STACK = """\
[stack."tf2.18"]
python = ["3.10", "3.11"]
tensorflow = "2.18.1"
"""
MATRIX = HEAD + PLATFORMS + STACK


def all_cells(text: str = MATRIX) -> list[Cell]:
    return list(expand(parse_matrix(text)))


def cell(name: str = "linux-64/tf2.18-py3.11", text: str = MATRIX) -> Cell:
    return next(cell for cell in all_cells(text) if cell.name == name)


def faults_of(text: str) -> tuple[str, ...]:
    with pytest.raises(MatrixError) as caught:
        parse_matrix(text)
    return caught.value.faults


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def host_of(platform: Platform) -> dict[str, object]:
    """What evidence of a machine of that platform has to state."""
    system = "macOS 15.1" if platform.is_macos else "Debian GNU/Linux 12 (bookworm)"
    return {"system": system, "machine": platform.machine, "gpus": []}


def conda(
    name: str,
    version: str = "1.0",
    *,
    depends: Sequence[str] = (),
    channel: str = CHANNEL,
    subdir: str = "linux-64",
    build: str = "h0_0",
) -> CondaPackage:
    file = f"{name}-{version}-{build}.conda"
    record = {
        "name": name,
        "version": version,
        "build": build,
        "fn": file,
        "subdir": subdir,
        "depends": list(depends),
        "sha256": sha256(file),
    }
    return CondaPackage(channel=channel, record=record)


def wheel(name: str, version: str = "1.0", tag: str = "py3-none-any") -> PipPackage:
    file = f"{name.replace('-', '_')}-{version}-{tag}.whl"
    return PipPackage(name=name, version=version, file=file, sha256=sha256(file), size=len(file))


def lock_of(
    of: Cell,
    conda_packages: Sequence[CondaPackage] = (conda("pip", depends=["python"]), conda("python", "3.11.9")),
    pip: Mapping[str, str] | None = None,
) -> Lock:
    versions = {"tensorflow": "2.18.1"} if pip is None else pip
    return Lock(
        platform=of.platform,
        python=f"{of.python}.9",
        floor=of.floor,
        inputs=cell_inputs(of),
        conda=tuple(sorted(conda_packages, key=lambda package: package.name)),
        pip=tuple(wheel(name, version) for name, version in sorted(versions.items())),
    )


def lock_cell(workspace: Workspace, of: Cell, lock: Lock) -> None:
    files = {LOCK_FILE: lock_text(lock), **workspace.render(of, lock)}
    replace_folder(workspace.folder(of), files)


def locked_workspace(folder: Path, text: str = MATRIX) -> Workspace:
    """A folder with that matrix, and a small lock for each of its cells."""
    (folder / "matrix.toml").write_text(text, encoding="utf-8")
    workspace = open_workspace(folder / "matrix.toml")
    for one in workspace.cells():
        if one.unavailable is None:
            lock_cell(workspace, one, lock_of(one))
    return workspace
