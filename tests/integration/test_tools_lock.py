"""requirements-dev.txt on the machines that people have: a wheel of everything, from the real index."""

from __future__ import annotations

from pathlib import Path

import pytest

from metalock.adapters.proc import run
from metalock.adapters.settings import read_settings
from metalock.adapters.uv import uv_environment, uv_path

ROOT = Path(__file__).parents[2]


@pytest.mark.network
@pytest.mark.parametrize("python", ["3.11", "3.14"])
@pytest.mark.parametrize(
    "machine", ["aarch64-apple-darwin", "x86_64-apple-darwin", "x86_64-unknown-linux-gnu"]
)
def test_it_can_be_installed(machine: str, python: str, tmp_path: Path) -> None:
    command: list[str | Path] = [
        uv_path(), "pip", "install", "--dry-run", "--no-config", "--require-hashes", "--only-binary", ":all:",
        "--python-platform", machine, "--python-version", python, "--target", tmp_path,
        "--requirement", ROOT / "requirements-dev.txt",
    ]  # fmt: skip
    env = {**uv_environment(read_settings().index_url), "MACOSX_DEPLOYMENT_TARGET": "15.0"}
    done = run(command, env=env, cwd=tmp_path)
    assert done.code == 0, done.stderr
