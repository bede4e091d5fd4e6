"""The committed locks, as conda-lock takes them; the wheels' URLs are made up."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml

from metalock.errors import ToolError
from metalock.export.conda_lock import to_conda_lock, to_dependencies
from metalock.lock.model import CondaPackage, Lock
from metalock.platforms import Platform
from metalock.workspace import open_workspace

WORKSPACE = open_workspace(Path(__file__).parents[2] / "matrix.toml")


@pytest.mark.parametrize("env", sorted(set(WORKSPACE.matrix.defaults.values())))
def test_every_package_of_every_platform_is_there_once(env: str) -> None:
    states = [WORKSPACE.state(cell) for cell in WORKSPACE.cells() if cell.env == env]
    locks = [state.lock for state in states if state.lock is not None]
    urls = {p.file: f"https://example.invalid/{p.file}" for lock in locks for p in lock.pip}
    text = to_conda_lock(locks, urls, ["conda-forge"], "matrix.toml")
    table = yaml.safe_load(text)
    expected = Counter((str(lock.platform), p.url, p.sha256) for lock in locks for p in lock.conda)
    expected += Counter((str(lock.platform), urls[p.file], p.sha256) for lock in locks for p in lock.pip)
    read = Counter((entry["platform"], entry["url"], entry["hash"]["sha256"]) for entry in table["package"])
    assert read == expected
    assert text == to_conda_lock(locks[::-1], urls, ["conda-forge"], "matrix.toml")


def test_a_channel_without_md5_is_refused() -> None:
    record = {"name": "a", "version": "1", "subdir": "noarch", "fn": "a-1-0.conda", "sha256": "0" * 64}
    package = CondaPackage(channel="https://example.invalid/forge", record=record)
    lock = Lock(
        platform=Platform.LINUX_64, python="3.11.0", floor="2.28", inputs="0" * 64, conda=(package,), pip=()
    )
    with pytest.raises(ToolError, match=r"noarch/a-1-0\.conda: its channel states no md5"):
        to_conda_lock([lock], {}, ["forge"], "matrix.toml")


@pytest.mark.parametrize(
    ("depends", "expected"),
    [
        (["a"], {"a": ""}),
        (["a >=1,<2"], {"a": ">=1,<2"}),
        (["a >=1", "a >=1"], {"a": ">=1"}),
        (["a <2", "a", "a >=1"], {"a": "<2,>=1"}),
        (["a 1.* *_cp311", "a <2"], {"a": "<2,1.* *_cp311"}),
    ],
)
def test_dependencies_of_one_name_are_joined(depends: list[str], expected: dict[str, str]) -> None:
    assert to_dependencies(depends) == expected
