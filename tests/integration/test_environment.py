"""Real environments from end to end: a channel on loopback, TensorFlow from the index, the whole contract.

The interpreter is packed as a conda package, since conda-forge may be out of reach; all else of the conda
part is what the pip part needs of it. By default the newest stack that the running Python has;
METALOCK_ENVIRONMENTS names others, for which an interpreter of their Python has to be on this machine;
METALOCK_EVIDENCE names a folder that keeps what came out. It is no evidence for the lock in envs/, whose
conda part is another.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.version import Version

from integration.conda_channel import Packed, pack_interpreter, pack_wheel, publish, with_conda_part
from integration.servers import Site, serving
from metalock.adapters.cache import Cache
from metalock.adapters.fetch import Download, fetch
from metalock.adapters.http import Client
from metalock.adapters.index import PackageIndex
from metalock.adapters.settings import read_settings
from metalock.adapters.uv_install import find_interpreter
from metalock.evidence.model import Outcome, counts_of
from metalock.evidence.text import parse_evidence
from metalock.lock.model import Lock, lock_digest
from metalock.lock.text import lock_text, parse_lock
from metalock.platforms import platform_of
from metalock.prefix.seeds import seed_wheels

ROOT = Path(__file__).parents[2]
HERE = platform_of(sys.platform, platform.machine())
PYENV = Path("~/.pyenv/versions").expanduser()
pytestmark = [
    pytest.mark.environment,
    pytest.mark.skipif(HERE is None, reason="no locks for this machine"),
]


def newest() -> str:
    """The newest stack that the running Python has a lock of."""
    minor = f"py{sys.version_info[0]}.{sys.version_info[1]}"
    found = [path.parent.name for path in ROOT.glob(f"envs/{HERE}/*-{minor}/lock.json")]
    return max(found, key=lambda env: Version(env.removeprefix("tf").partition("-")[0]), default="none")


ENVS = os.environ.get("METALOCK_ENVIRONMENTS", "").split() or [newest()]


def interpreter_for(env: str) -> Path:
    minor = env.rpartition("-py")[2]
    if minor == f"{sys.version_info[0]}.{sys.version_info[1]}":
        return Path(sys.executable)
    kept = sorted(PYENV.glob(f"{minor}.*/bin/python"))
    found = kept[-1] if kept else find_interpreter(minor)
    if found is None:
        pytest.skip(f"no Python {minor} on this machine")
    return found


def conda_part(lock: Lock, env: str, folder: Path) -> list[Packed]:
    """The interpreter, and the wheels of what the lock takes from conda."""
    settings = read_settings()
    index = PackageIndex(settings.index_url)
    packed = [pack_interpreter(interpreter_for(env), subdir=lock.platform)]
    for seed in seed_wheels(lock, settings.index_url, Cache(settings.cache)):
        wheel = index.find(seed)
        assert wheel is not None, seed.file
        path = fetch(Download(url=wheel.url, file=seed.file, sha256=seed.sha256, size=0), folder, Client())
        packed.append(pack_wheel(path.read_bytes(), seed.file))
    return packed


def prepare(folder: Path, env: str, site: Site) -> Lock:
    """A workspace with one lock, whose conda part the site has."""
    shutil.copy(ROOT / "matrix.toml", folder)
    lock = parse_lock((ROOT / "envs" / str(HERE) / env / "lock.json").read_text(encoding="utf-8"))
    (folder / "wheels").mkdir()
    packed = conda_part(lock, env, folder / "wheels")
    publish(site, packed)
    lock = replace(with_conda_part(lock, packed), inputs=lock.inputs)
    place = folder / "envs" / str(HERE) / env
    place.mkdir(parents=True)
    (place / "lock.json").write_text(lock_text(lock), encoding="utf-8")
    return lock


@pytest.mark.skipif(ENVS == ["none"], reason="no stack is offered for the Python that runs the tests")
@pytest.mark.parametrize("env", ENVS)
def test_an_environment_is_what_the_contract_says(env: str, tmp_path: Path) -> None:
    site = Site()
    with serving(site) as address:
        lock = prepare(tmp_path, env, site)
        metalock = str(Path(sys.executable).parent / "metalock")
        done = subprocess.run(
            [metalock, "verify", "--env", env, "--platform", str(HERE)],
            cwd=tmp_path,
            env={
                **os.environ,
                "CONDA_CHANNEL_ALIAS": address,
                "METALOCK_CACHE_DIR": str(tmp_path / "cache"),
            },
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    text = (tmp_path / "envs" / str(HERE) / env / "smoke.json").read_text(encoding="utf-8")
    evidence = parse_evidence(text.encode(), lock.platform)
    assert (evidence.backend, evidence.lock) == ("conda", lock_digest(lock))
    counts = counts_of(evidence.results(lock))
    assert Outcome.UNEXPECTED not in counts
    assert counts[Outcome.WORKS] > 100
    if folder := os.environ.get("METALOCK_EVIDENCE"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(folder, f"{HERE}.{env}.json").write_text(text, encoding="utf-8")
    assert not re.search(rf"{re.escape(str(tmp_path))}|{re.escape(str(Path.home()))}/", text)
    assert list((tmp_path / ".envs").glob("*/[!.]*")) == []
    listed = subprocess.run(
        [metalock, "list", "--env", env, "--platform", str(HERE), "--json"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    (row,) = json.loads(listed.stdout)
    assert row["env"] == env
