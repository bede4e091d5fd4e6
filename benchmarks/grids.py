"""Time of the whole grid of tensorflow-metal on arm64, with a full and with an empty cache."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import zipfile
from pathlib import Path

from auditing import PLATFORM, inflate
from metalock.adapters.cache import Cache
from metalock.adapters.fetch import Download, fetch
from metalock.adapters.http import Client
from metalock.adapters.index import IndexWheel, PackageIndex
from metalock.adapters.settings import read_settings
from metalock.audit.facts import WheelFacts
from metalock.audit.grid import GridEntry, compare
from metalock.audit.grid_run import choose_pairs, read_pairs
from metalock.audit.wheel_cache import WheelLibrary
from rows import Rows, run

PLUGIN = "tensorflow-metal"
RUNS = 5


def cached(_root: Path, _folder: Path) -> Rows:
    """Measure the command in a new process, and in another one the comparison alone."""
    count = len(json.loads(_command()))
    whole, alone = [], []
    for _ in range(RUNS):
        start = time.perf_counter()
        _command()
        whole.append(time.perf_counter() - start)
        alone.append(float(run([sys.executable, __file__])))
    return [
        {
            "what": f"the arm64 grid of {PLUGIN}, {count} entries, from cached facts",
            "measured": f"{min(whole):.2f} s",
            "target": "< 2 s",
            "seconds": whole,
        },
        {
            "what": "of which loading the facts and comparing",
            "measured": f"{min(alone):.2f} s",
            "seconds": alone,
        },
    ]


def from_nothing(_root: Path, folder: Path) -> Rows:
    """Compare an empty cache with downloading and inflating the same wheels one by one."""
    index = PackageIndex(read_settings().index_url)
    grid = choose_pairs(PLUGIN, PLATFORM, index)
    wheels = {wheel.file: wheel for pair in grid for wheel in pair.wheels_to_read()}
    size = 0
    start = time.perf_counter()
    for wheel in wheels.values():
        size += _inflated(wheel, folder)
    plain = time.perf_counter() - start
    start = time.perf_counter()
    count = len(json.loads(_command(folder / "cache")))
    ours = time.perf_counter() - start
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit / 1e6
    return [
        {
            "what": f"the same from nothing, {len(wheels)} wheels of {size / 1e9:.1f} GB,"
            " per time of download and inflating",
            "measured": f"{ours / plain:.2f}",
            "target": "<= 1.5",
            "entries": count,
            "seconds": {"plain": plain, "grid": ours},
        },
        {"what": "its peak memory, with the facts that are mapped", "measured": f"{peak:.0f} MB"},
    ]


def _command(cache: Path | None = None) -> bytes:
    command = [sys.executable, "-m", "metalock", "audit", "--grid", PLUGIN, "--platform", PLATFORM, "--json"]
    environment = {**os.environ, **({"METALOCK_CACHE_DIR": str(cache)} if cache else {})}
    return run(command, env=environment)


def _inflated(wheel: IndexWheel, folder: Path) -> int:
    assert wheel.sha256 is not None, wheel.file
    path = fetch(Download(url=wheel.url, file=wheel.file, sha256=wheel.sha256, size=0), folder, Client())
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith((".so", ".dylib"))]
    inflate(path, names)
    size = path.stat().st_size
    path.unlink()
    return size


def _compare_all() -> float:
    """Return the seconds of comparing all pairs; only the first call in a process counts."""
    settings = read_settings()
    cache = Cache(settings.cache)
    index = PackageIndex(settings.index_url, cache)
    grid = choose_pairs(PLUGIN, PLATFORM, index)
    start = time.perf_counter()
    answers = read_pairs(grid, PLATFORM, WheelLibrary(index, cache))
    facts = {file: answer for file, answer in answers.items() if isinstance(answer, WheelFacts)}
    entries: list[GridEntry] = [entry for pair in grid for entry in compare(pair, PLATFORM, facts)]
    seconds = time.perf_counter() - start
    assert entries
    return seconds


if __name__ == "__main__":
    print(_compare_all())
