"""Time of locking the real matrix, compared with the engines alone and with conda-lock."""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from rattler import Channel, Gateway, GenericVirtualPackage, PackageName, Subdir, Version, solve
from rattler.networking import Client, MirrorMiddleware
from rattler.package import BuildString

from building import CONDA_LIMIT, serve_channel
from integration.channel import make_channel
from integration.servers import Site, serving
from metalock.adapters.conda import ChannelSolver, CondaRequest
from metalock.adapters.settings import Settings, read_settings
from metalock.adapters.uv import uv_environment, uv_path
from metalock.locking.solve import conda_request
from metalock.matrix.model import Cell
from metalock.workspace import open_workspace
from rows import Rows, run, skipped

RUNS = 9


def nothing_to_do(root: Path, _folder: Path) -> Rows:
    """Measure the command in a new process when every lock is current; the median counts."""
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        run([sys.executable, "-m", "metalock", "env"], cwd=root)
        seconds.append(time.perf_counter() - start)
    count = len(_available(root))
    return [
        {
            "what": f"metalock env, {count} environments, all up to date",
            "measured": f"{statistics.median(seconds):.2f} s",
            "target": "< 0.5 s",
            "seconds": seconds,
        }
    ]


def from_nothing(root: Path, folder: Path) -> Rows:
    """Lock everything, and compare with the engines alone, which run before and after it."""
    settings = read_settings()
    cells = _available(root)
    channels = cells[0].channels
    if ChannelSolver(settings, folder / "repodata").unreachable(channels):
        return [skipped("from nothing", f"channel {', '.join(channels)} can't be reached")]
    shutil.copy(root / "matrix.toml", folder)
    jobs = os.cpu_count() or 1
    _raw_engines(cells, settings, folder, jobs)
    before = _timed(lambda: _raw_engines(cells, settings, folder, jobs))
    ours = _timed(lambda: run([sys.executable, "-m", "metalock", "env", "--jobs", str(jobs)], cwd=folder))
    after = _timed(lambda: _raw_engines(cells, settings, folder, jobs))
    return [
        {
            "what": f"{len(cells)} environments from nothing, metalock to raw engines",
            "measured": f"{ours / ((before + after) / 2):.2f} x",
            "target": "<= 1.2 x",
            "seconds": ours,
            "raw_seconds": [before, after],
        }
    ]


def against_conda_lock(root: Path, folder: Path) -> Rows:
    """Lock the conda part of the default environment, on a small channel that both read from loopback."""
    what = "the conda part of the default environment, conda-lock to metalock"
    conda = next((path for name in ("micromamba", "mamba", "conda") if (path := shutil.which(name))), None)
    if conda is None:
        return [skipped(what, "no conda executable here")]
    channel = make_channel()
    requests = [
        conda_request(cell) for cell in _available(root) if cell.is_default and cell.platform in channel
    ]
    site = Site()
    serve_channel(site, channel)
    with serving(site) as url:
        settings = read_settings({**os.environ, "CONDA_CHANNEL_ALIAS": url})
        source = folder / "environment.yml"
        lines = ["channels:", *(f"  - {url}/{name}" for name in requests[0].channels)]
        lines += ["dependencies:", *(f"  - {spec}" for spec in requests[0].specs)]
        source.write_text("\n".join(lines) + "\n", encoding="utf-8")
        platforms = [part for request in requests for part in ("-p", str(request.platform))]
        command = [
            str(Path(sys.executable).with_name("conda-lock")),
            "lock",
            "--conda",
            conda,
            "-f",
            str(source),
            *platforms,
        ]
        theirs = _timed(lambda: run(command, cwd=folder, limit=CONDA_LIMIT))
        solver = ChannelSolver(settings, folder / "repodata")
        ours = _timed(lambda: [solver.solve(request, []) for request in requests])
    return [
        {
            "what": what,
            "measured": f"{theirs / ours:.0f} x",
            "seconds": ours,
            "conda_lock_seconds": theirs,
        }
    ]


def _raw_engines(cells: list[Cell], settings: Settings, folder: Path, jobs: int) -> None:
    """Run the same py-rattler solves and uv calls, and write no lock."""
    requests = {conda_request(cell) for cell in cells}
    pythons = dict(asyncio.run(_solve_all(sorted(requests, key=str), settings, folder / "raw-repodata")))
    uv = uv_path()

    def compile_one(cell: Cell) -> None:
        work = folder / "raw" / cell.platform / cell.env
        work.mkdir(parents=True, exist_ok=True)
        (work / "pylock.toml").unlink(missing_ok=True)
        lines = [f"{name}{specifier}" for name, specifier in cell.pip.items()]
        (work / "requirements.in").write_text("\n".join(lines), encoding="utf-8")
        versions = pythons[conda_request(cell)]
        pins = [f"{name}=={versions[name]}" for name in cell.from_conda if name in versions]
        (work / "constraints.txt").write_text("\n".join(pins), encoding="utf-8")
        command: list[str | Path] = [
            uv, "pip", "compile", "requirements.in", "--constraints", "constraints.txt", "-o", "pylock.toml",
            "--python-version", versions["python"], "--python-platform", cell.platform.uv_target(cell.floor),
            "--only-binary", ":all:", "--exclude-newer", cell.exclude_newer, "--no-config", "--quiet",
            "--python", sys.executable,
        ]  # fmt: skip
        environment = uv_environment(settings.index_url, floor=cell.floor if cell.platform.is_macos else None)
        run(command, cwd=work, env=environment)

    with ThreadPoolExecutor(max_workers=jobs) as pool:
        list(pool.map(compile_one, cells))


async def _solve_all(
    requests: list[CondaRequest], settings: Settings, cache: Path
) -> list[tuple[CondaRequest, dict[str, str]]]:
    channels = requests[0].channels
    mirrors = {settings.channel_url(name): list(settings.channel_sources(name)) for name in channels}
    gateway = Gateway(cache_dir=cache, client=Client([MirrorMiddleware(mirrors)]))
    solved = []
    for request in requests:
        records = await solve(
            [Channel(settings.channel_url(name)) for name in request.channels],
            list(request.specs),
            gateway=gateway,
            platforms=[Subdir(request.platform), Subdir("noarch")],
            virtual_packages=[
                GenericVirtualPackage(PackageName(name), Version(version), BuildString(build))
                for name, version, build in request.platform.virtual_packages(request.floor)
            ],
            exclude_newer=datetime.fromisoformat(request.exclude_newer),
        )
        solved.append((request, {record.name.normalized: str(record.version) for record in records}))
    return solved


def _available(root: Path) -> list[Cell]:
    return [cell for cell in open_workspace(root / "matrix.toml").cells() if cell.unavailable is None]


def _timed(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
