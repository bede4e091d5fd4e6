"""Time of the binary readers on a real wheel, compared with inflating it and with LIEF.

`python benchmarks/readers.py WHEEL... [--all] [--json FILE]`: of each TensorFlow wheel the three
libraries that plugins link, or all binaries. Each step runs alone, in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import mmap
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from metalock.binaries import Import, Lookup, read_stream, sniff
from metalock.binaries.fingerprint import dump, load

PROVIDERS = ("/libtensorflow_cc.", "/libtensorflow_framework.", "/_pywrap_tensorflow_internal.so")
CHUNK = 1 << 18
NAMES = 300


def members(wheel: Path, *, everything: bool) -> list[str]:
    found = []
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if everything or any(one in name for one in PROVIDERS):
                with archive.open(name) as member:
                    found += [name] if sniff(member.read(4)) else []
    return found


def inflate(wheel: Path, names: list[str], _: Path) -> dict[str, float]:
    size = 0
    with zipfile.ZipFile(wheel) as archive:
        for name in names:
            with archive.open(name) as member:
                while chunk := member.read(CHUNK):
                    size += len(chunk)
    return {"megabytes": size / 1e6}


def fingerprint(wheel: Path, names: list[str], cached: Path) -> dict[str, float]:
    found = {}
    with zipfile.ZipFile(wheel) as archive:
        for name in names:
            with archive.open(name) as member, tempfile.TemporaryFile() as spool:
                found[name] = read_stream(member, spool, imports=False)
    with cached.open("wb") as file:
        dump(found, file)
    return {"fingerprint_megabytes": cached.stat().st_size / 1e6}


def through_lief(wheel: Path, names: list[str], _: Path) -> dict[str, float]:
    import lief

    lief.logging.disable()
    count = 0
    with zipfile.ZipFile(wheel) as archive:
        for name in names:
            data = archive.read(name)
            # the fat binary owns the thin one, which does not keep it alive
            fat = None if data.startswith(b"\x7fELF") else lief.MachO.parse(data)
            binary = fat.at(0) if fat else lief.ELF.parse(data)
            if binary is None:
                raise SystemExit(f"LIEF cannot read {name}")
            count += len({str(one.name) for one in binary.exported_symbols})
    return {"exports": count}


def lookups(_: Path, names: list[str], cached: Path) -> dict[str, float]:
    """Load the fingerprint again and look up names, half of which exist."""
    with cached.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    exports = [one.name for one in load(mapped)[names[0]].exports]
    present = exports[:: len(exports) // (NAMES // 2)][: NAMES // 2]
    wanted = [
        Import(name=name, lookup=Lookup.FLAT) for name in [*present, *(f"{name}v1" for name in present)]
    ]
    begin = time.perf_counter()
    fresh = load(mapped)
    opened = {name: fresh[name] for name in names}
    loaded = time.perf_counter()
    hits = sum(any(one.exports.provides(want) for one in opened.values()) for want in wanted)
    first = time.perf_counter()
    for want in wanted:
        any(one.exports.provides(want) for one in opened.values())
    again = time.perf_counter()
    assert hits >= len(present)
    return {
        "exports": len(exports),
        "names": len(wanted),
        "load_ms": (loaded - begin) * 1e3,
        "first_lookups_ms": (first - loaded) * 1e3,
        "further_lookups_ms": (again - first) * 1e3,
    }


STEPS = {"inflate": inflate, "fingerprint": fingerprint, "lief": through_lief, "lookups": lookups}


def step(name: str, wheel: Path, cached: Path, *, everything: bool) -> dict[str, float]:
    names = members(wheel, everything=everything)
    begin = time.perf_counter()
    result = STEPS[name](wheel, names, cached)
    seconds = time.perf_counter() - begin
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    return {"seconds": seconds, "peak_megabytes": peak, "members": len(names), **result}


def alone(name: str, wheel: Path, cached: Path, *, everything: bool) -> dict[str, float]:
    command = [sys.executable, __file__, str(wheel), "--step", name, "--cached", str(cached)]
    command += ["--all"] if everything else []
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def measure(wheel: Path, *, everything: bool, runs: int, with_lief: bool) -> dict[str, object]:
    """Return the fastest run of each step; the steps run in turns, as the machine may be busy."""
    with tempfile.TemporaryDirectory() as directory:
        cached = Path(directory) / "fingerprint"
        names = [name for name in STEPS if with_lief or name != "lief"]
        rounds = [
            {name: alone(name, wheel, cached, everything=everything) for name in names} for _ in range(runs)
        ]
        steps = {name: min((one[name] for one in rounds), key=lambda one: one["seconds"]) for name in names}
    ours = steps["fingerprint"]["seconds"]
    return {
        "wheel": wheel.name,
        "steps": steps,
        "fingerprint_per_inflate": ours / steps["inflate"]["seconds"],
        "lief_per_fingerprint": steps["lief"]["seconds"] / ours if with_lief else None,
    }


def show(result: dict[str, object]) -> None:
    print(result["wheel"])
    steps = result["steps"]
    assert isinstance(steps, dict)
    for name, values in steps.items():
        rest = ", ".join(f"{key} {value:,.1f}" for key, value in values.items() if key != "seconds")
        print(f"  {name:<12} {values['seconds']:8.2f} s   {rest}")
    for ratio in ("fingerprint_per_inflate", "lief_per_fingerprint"):
        if isinstance(value := result[ratio], float):
            print(f"  {ratio} {value:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheels", nargs="+", type=Path)
    parser.add_argument("--all", action="store_true", help="read every binary of the wheel")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--no-lief", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--step", choices=STEPS)
    parser.add_argument("--cached", type=Path)
    options = parser.parse_args()
    if options.step:
        wheel = options.wheels[0]
        json.dump(step(options.step, wheel, options.cached, everything=options.all), sys.stdout)
        return
    results = []
    for wheel in options.wheels:
        results.append(
            measure(wheel, everything=options.all, runs=options.runs, with_lief=not options.no_lief)
        )
        show(results[-1])
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
