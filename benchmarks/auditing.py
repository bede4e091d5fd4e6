"""Time and memory of reading wheels, compared with inflating them and with LIEF."""

from __future__ import annotations

import json
import mmap
import resource
import sys
import time
import zipfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from metalock.adapters.cache import Cache
from metalock.adapters.fetch import Download, fetch
from metalock.adapters.http import Client
from metalock.adapters.index import PackageIndex
from metalock.adapters.settings import read_settings
from metalock.audit.facts import dump, load
from metalock.audit.wheel import read_wheel
from metalock.audit.wheel_cache import WheelLibrary
from metalock.binaries import sniff
from metalock.lock.model import PipPackage
from metalock.lock.text import parse_lock
from metalock.platforms import Platform
from rows import Rows, run

CHUNK = 1 << 18
RUNS = 5
LIEF_RUNS = 2
NAMES = 300
PLATFORM = Platform.OSX_ARM64
SINGLE = "tf2.15-py3.11"
SEVERAL = ("tf2.13-py3.11", "tf2.15-py3.11", "tf2.17-py3.11", "tf2.18-py3.11")


def _binaries(archive: zipfile.ZipFile) -> list[str]:
    found = []
    for name in archive.namelist():
        with archive.open(name) as member:
            if sniff(member.read(4)):
                found.append(name)
    return found


def inflate(wheel: Path, names: list[str]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in names:
            with archive.open(name) as member:
                while member.read(CHUNK):
                    pass


def ours(wheel: Path, _: list[str]) -> None:
    with wheel.open("rb") as file, wheel.with_suffix(".facts").open("wb") as stored:
        dump(read_wheel(file, wheel.name, "0" * 64, PLATFORM, scratch=wheel.parent), stored)


def through_lief(wheel: Path, names: list[str]) -> None:
    import lief

    lief.logging.disable()
    with zipfile.ZipFile(wheel) as archive:
        for name in names:
            fat = lief.MachO.parse(archive.read(name))
            assert fat is not None, name
            binary = fat.at(0)
            assert binary is not None, name
            for symbols in (binary.exported_symbols, binary.imported_symbols):
                {str(symbol.name) for symbol in symbols}


STEPS: dict[str, Callable[[Path, list[str]], None]] = {
    "inflate": inflate,
    "ours": ours,
    "lief": through_lief,
}


def step(name: str, wheel: Path) -> dict[str, float]:
    """Measure one step; `python auditing.py STEP WHEEL` runs it in a process of its own."""
    with zipfile.ZipFile(wheel) as archive:
        names = [] if name == "ours" else _binaries(archive)
    start, busy = time.perf_counter(), time.process_time()
    STEPS[name](wheel, names)
    seconds, processor = time.perf_counter() - start, time.process_time() - busy
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "seconds": seconds,
        "processor_seconds": processor,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6,
    }


def _alone(name: str, wheel: Path) -> dict[str, float]:
    command = [sys.executable, __file__, name, str(wheel)]
    found: dict[str, float] = json.loads(run(command))
    return found


def _tensorflow(root: Path, env: str) -> PipPackage:
    lock = parse_lock((root / "envs" / PLATFORM / env / "lock.json").read_text(encoding="utf-8"))
    return max(lock.pip, key=lambda package: package.size)


def _fetched(index: PackageIndex, package: PipPackage, folder: Path) -> Path:
    wheel = index.find(package)
    assert wheel is not None, package.file
    wanted = Download(url=wheel.url, file=package.file, sha256=package.sha256, size=package.size)
    return fetch(wanted, folder, Client()).rename(folder / package.file)


def one_wheel(root: Path, folder: Path) -> Rows:
    """Measure one TensorFlow wheel: each step in turn, in a process of its own; the fastest run counts."""
    index = PackageIndex(read_settings().index_url)
    wheel = _fetched(index, _tensorflow(root, SINGLE), folder)
    runs = {name: [_alone(name, wheel)] for name in STEPS}
    for number in range(1, RUNS):
        for name in STEPS if number < LIEF_RUNS else ("inflate", "ours"):
            runs[name].append(_alone(name, wheel))
    best = {name: min(run["seconds"] for run in found) for name, found in runs.items()}
    peak = max(run["megabytes"] for run in runs["ours"])
    load_ms, ask_ms = _look_up(wheel.with_suffix(".facts"))
    what = wheel.name.partition("-cp")[0]
    return [
        {
            "what": f"{what} to facts, per time of inflating what is read",
            "measured": f"{best['ours'] / best['inflate']:.2f}",
            "target": "<= 1.3",
            "runs": runs,
        },
        {"what": f"{what} to facts, peak memory", "measured": f"{peak:.0f} MB", "target": "< 300 MB"},
        {
            "what": f"{what} through LIEF, per time of metalock",
            "measured": f"{best['lief'] / best['ours']:.1f}",
            "target": ">= 10",
        },
        {"what": "its facts loaded from the cache", "measured": f"{load_ms:.1f} ms", "target": "a few ms"},
        {"what": f"{NAMES} symbols looked up in it", "measured": f"{ask_ms:.1f} ms", "target": "a few ms"},
    ]


def _look_up(stored: Path) -> tuple[float, float]:
    """Return the milliseconds to load facts, and to look names up in the largest library."""
    with stored.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    start = time.perf_counter()
    facts = load(mapped)
    loaded = time.perf_counter()
    path = next(path for path in facts.binaries if "libtensorflow_cc" in path)
    present = [one.name for one in islice(load(mapped).binaries[path].exports, 0, NAMES * 50, 100)]
    names = [*present, *(f"{name}v1" for name in present)]
    asked = time.perf_counter()
    hits = sum(facts.binaries[path].exports.find(name) is not None for name in names)
    done = time.perf_counter()
    assert hits >= len(present)
    return (loaded - start) * 1e3, (done - asked) * 1e3


def several_wheels(root: Path, folder: Path) -> Rows:
    """Compare reading several wheels with an empty cache to downloading and inflating them one by one."""
    index = PackageIndex(read_settings().index_url)
    packages = [_tensorflow(root, env) for env in SEVERAL]
    plain, library = [], []
    for _ in range(3):
        start = time.perf_counter()
        for package in packages:
            wheel = _fetched(index, package, folder)
            with zipfile.ZipFile(wheel) as archive:
                names = [name for name in archive.namelist() if name.endswith((".so", ".dylib"))]
            inflate(wheel, names)
            wheel.unlink()
        plain.append(time.perf_counter() - start)
        with TemporaryDirectory(dir=folder) as cache:
            start = time.perf_counter()
            answers = list(WheelLibrary(index, Cache(Path(cache))).facts(packages, PLATFORM))
            library.append(time.perf_counter() - start)
        assert not any(isinstance(answer, Exception) for _, answer in answers)
    return [
        {
            "what": f"{len(packages)} TensorFlows from nothing, per time of download and inflating",
            "measured": f"{min(library) / min(plain):.2f}",
            "target": "<= 1.5",
            "seconds": {"plain": plain, "library": library},
        }
    ]


if __name__ == "__main__":
    print(json.dumps(step(sys.argv[1], Path(sys.argv[2]))))
