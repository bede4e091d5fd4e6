"""Time of building from warm caches, compared with the engines alone and with conda.

The conda part is an interpreter of this machine, packed and served on loopback, so that no channel is needed;
the pip part is a real lock's. As a program: the raw engines, on what `_project` has written.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # they pack interpreters, and serve them

from integration.channel import CHANNEL, Channel, channel_files
from integration.conda_channel import Packed, pack_interpreter, pack_wheel, publish, with_conda_part
from integration.index import make_wheel
from integration.servers import Site, serving
from metalock.adapters.cache import Cache
from metalock.adapters.conda import open_client, to_records
from metalock.adapters.fetch import Download, fetch
from metalock.adapters.http import Client
from metalock.adapters.index import PackageIndex
from metalock.adapters.settings import read_settings
from metalock.adapters.uv import uv_path
from metalock.lock.text import lock_text, parse_lock
from metalock.platforms import platform_of
from metalock.prefix.seeds import seed_wheels
from metalock.workspace import LOCK_FILE, open_workspace
from rows import LIMIT, Rows, run, skipped

RUNS = 3
CONDA_LIMIT = 600.0
"""Seconds for one program of conda's."""
TARGET = "<= 1.3 x"
MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"
ENV = f"tf2.18-py{MINOR}"


def warm(root: Path, folder: Path) -> Rows:
    """Compare metalock with the engines alone, in turns, after one build of each that fills the caches."""
    own = platform_of(sys.platform, platform.machine())
    source = root / "envs" / str(own) / ENV
    what = f"metalock build {ENV}, caches warm, to py-rattler and uv alone"
    if not source.is_dir():
        return [skipped(what, f"there is no {ENV} for this machine")]
    packed = [pack_interpreter(Path(sys.executable), subdir=str(own)), *_python_packages()]
    site = Site()
    publish(site, packed)
    with serving(site) as url:
        environ = {**os.environ, "CONDA_CHANNEL_ALIAS": url}
        project = _project(root, folder / "project", packed)
        prefix = folder / "prefix"
        ours = [sys.executable, "-m", "metalock", "build", ENV, "--prefix", str(prefix)]
        raw = [sys.executable, __file__, str(project / "envs" / str(own) / ENV), str(prefix)]
        commands = {"ours": ours, "raw": raw}
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        cpu: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(RUNS + 1):
            for name, command in commands.items():
                before = _cpu()
                seconds[name].append(_timed(command, project, environ))
                cpu[name].append(_cpu() - before)
                shutil.rmtree(prefix)
    ratios = [a / b for a, b in zip(seconds["ours"][1:], seconds["raw"][1:], strict=True)]
    return [
        {
            "what": what,
            "measured": f"{statistics.median(ratios):.2f} x",
            "target": TARGET,
            "seconds": seconds["ours"],
            "raw_seconds": seconds["raw"],
            "cpu_seconds": cpu,
        }
    ]


def against_conda(root: Path, folder: Path) -> Rows:
    """Make an environment with conda from the file that metalock writes, and with metalock; caches are warm.

    Both read the conda part from a channel on loopback, and the pip part from the index.
    """
    what = f"conda env create -f, {ENV}, caches warm, to metalock build"
    conda = shutil.which("conda")
    own = platform_of(sys.platform, platform.machine())
    if conda is None:
        return [skipped(what, "no conda executable here")]
    if not (root / "envs" / str(own) / ENV).is_dir():
        return [skipped(what, f"there is no {ENV} for this machine")]
    packed = _real_packages(root / "envs" / str(own) / ENV, folder)
    site = Site()
    publish(site, packed)
    with serving(site) as url:
        serve_channel(site, _channel_of(packed))
        (folder / "condarc").write_text(f"channel_alias: {url}\ndefault_channels: []\n", encoding="utf-8")
        environ = {**os.environ, "CONDA_CHANNEL_ALIAS": url, "CONDARC": str(folder / "condarc")}
        project = _project(root, folder / "project", packed)
        prefix = folder / "prefix"
        file = project / "envs" / str(own) / ENV / "environment.yml"
        commands = {
            "conda": [conda, "env", "create", "-f", str(file), "--prefix", str(prefix), "--yes"],
            "ours": [sys.executable, "-m", "metalock", "build", ENV, "--prefix", str(prefix)],
        }
        seconds = {}
        for name, command in commands.items():
            for _ in range(2):
                seconds[name] = _timed(command, project, environ, CONDA_LIMIT)
                shutil.rmtree(prefix)
    return [
        {
            "what": what,
            "measured": f"{seconds['conda'] / seconds['ours']:.1f} x",
            "target": ">= 3 x",
            "seconds": seconds["ours"],
            "conda_seconds": seconds["conda"],
        }
    ]


def serve_channel(site: Site, channel: Channel) -> None:
    """Serve the repodata of the channel, compressed and plain, as clients of any age ask for it."""
    for path, body in channel_files(channel).items():
        site.put(path, body)
    for subdir, records in channel.items():
        plain = json.dumps({"info": {"subdir": subdir}, "packages": {}, "packages.conda": records})
        site.put(f"/{CHANNEL}/{subdir}/repodata.json", plain.encode())


def _channel_of(packed: list[Packed]) -> Channel:
    own = str(platform_of(sys.platform, platform.machine()))
    channel: Channel = {own: {}, "noarch": {}}
    for item in packed:
        channel[item.package.subdir][item.package.file_name] = dict(item.package.record)
    return channel


def _real_packages(source: Path, folder: Path) -> list[Packed]:
    """Pack this interpreter, and the wheels of what the lock takes from conda, with a pip that works."""
    settings = read_settings()
    index, cache = PackageIndex(settings.index_url), Cache(settings.cache)
    cache.prepare()
    lock = parse_lock((source / LOCK_FILE).read_text(encoding="utf-8"))
    packed = [pack_interpreter(Path(sys.executable), subdir=lock.platform)]
    for seed in seed_wheels(lock, settings.index_url, cache):
        wheel = index.find(seed)
        assert wheel is not None, seed.file
        path = fetch(Download(url=wheel.url, file=seed.file, sha256=seed.sha256, size=0), folder, Client())
        packed.append(pack_wheel(path.read_bytes(), seed.file))
    return packed


def _python_packages() -> list[Packed]:
    """Pack placeholders for the four packages that the locks take from conda."""
    versions = {"packaging": "26.3", "pip": "26.2", "setuptools": "81.0.0", "wheel": "0.47.0"}
    wheels = [make_wheel(name, version) for name, version in versions.items()]
    return [pack_wheel(wheel.body, wheel.file) for wheel in wheels]


def _project(root: Path, folder: Path, packed: list[Packed]) -> Path:
    """Write a project with the matrix and one lock, whose conda part is `packed`; return its folder."""
    folder.mkdir()
    shutil.copy(root / "matrix.toml", folder)
    workspace = open_workspace(folder / "matrix.toml")
    own = platform_of(sys.platform, platform.machine())
    cell = next(cell for cell in workspace.cells() if (cell.env, cell.platform) == (ENV, own))
    text = (root / "envs" / cell.platform / cell.env / LOCK_FILE).read_text(encoding="utf-8")
    lock = with_conda_part(parse_lock(text), packed)
    target = workspace.folder(cell)
    target.mkdir(parents=True)
    for name, content in {LOCK_FILE: lock_text(lock), **workspace.render(cell, lock)}.items():
        (target / name).write_text(content, encoding="utf-8")
    return folder


def _raw(source: Path, prefix: Path) -> None:
    """Install the same packages with the engines alone: no check, no marker, no lock file."""
    from rattler import Subdir, install

    settings = read_settings()
    lock = parse_lock((source / LOCK_FILE).read_text(encoding="utf-8"))
    asyncio.run(
        install(
            to_records(lock.conda),
            prefix,
            cache_dir=settings.cache / "pkgs",
            platform=Subdir(lock.platform),
            client=open_client(settings, ["conda-forge"], timeout=None),
            show_progress=False,
        )
    )
    command: list[str | Path] = [
        uv_path(), "pip", "install", "--python", prefix / "bin" / "python", "--requirement",
        source / "requirements.txt", "--require-hashes", "--no-deps", "--no-config", "--quiet",
    ]  # fmt: skip
    subprocess.run(command, check=True)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _timed(command: list[str], folder: Path, environ: Mapping[str, str], limit: float = LIMIT) -> float:
    start = time.perf_counter()
    run(command, cwd=folder, env=environ, limit=limit)
    return time.perf_counter() - start


if __name__ == "__main__":
    _raw(Path(sys.argv[1]), Path(sys.argv[2]))
    os._exit(0)  # rattler's threads may still be handing over their answer
