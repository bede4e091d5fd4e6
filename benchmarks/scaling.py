"""Time for each cell and peak memory with synthetic matrices of 1,000 and 10,000 cells."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from metalock.checks.files import check_drift
from metalock.lock.model import cell_inputs
from metalock.lock.text import lock_text, parse_lock
from metalock.platforms import Platform
from metalock.workspace import LOCK_FILE, open_workspace
from rows import Row, run

SIZES = (1_000, 10_000)
PYTHONS = tuple(f"3.{minor}" for minor in range(8, 18))


def matrices(root: Path, folder: Path) -> Iterator[Row]:
    """Measure matrices in which every cell is locked like the default environment, with all its packages."""
    for size in SIZES:
        place = folder / str(size)
        place.mkdir()
        command = [sys.executable, __file__, str(root), str(place), str(size)]
        measured = json.loads(run(command))
        yield {
            "what": f"{size} cells: expand, render and check, for one cell",
            "measured": f"{measured['seconds'] / size * 1000:.2f} ms",
            "target": "<= 1 ms",
            **measured,
        }
        yield {
            "what": f"{size} cells: peak memory",
            "measured": f"{measured['peak_mb']:.0f} MB",
            "target": "< 300 MB",
        }


def write_synthetic(root: Path, place: Path, size: int) -> None:
    """Write a matrix of `size` cells on two platforms, and all its environments."""
    model = open_workspace(root / "matrix.toml")
    locks = {}
    for platform in (Platform.OSX_ARM64, Platform.LINUX_64):
        folder = model.envs / platform / model.matrix.defaults[platform]
        locks[platform] = parse_lock((folder / LOCK_FILE).read_text(encoding="utf-8"))
    stacks = size // (2 * len(PYTHONS))
    text = [
        'schema = 1\nchannels = ["conda-forge"]\nexclude-newer = 2026-08-21T00:00:00Z',
        '[platform.osx-arm64]\nmacos = "12.0"\ndefault = "s0-py3.11"',
        '[platform.linux-64]\nglibc = "2.28"\ndefault = "s0-py3.11"',
    ]
    pythons = json.dumps(PYTHONS)
    text += [
        f'[stack.s{n}]\npython = {pythons}\ntensorflow = "2.18.1"\nnumpy = "<2.{n}"' for n in range(stacks)
    ]
    (place / "matrix.toml").write_text("\n\n".join(text) + "\n", encoding="utf-8")
    workspace = open_workspace(place / "matrix.toml")
    for cell in workspace.cells():
        lock = replace(locks[cell.platform], inputs=cell_inputs(cell), floor=cell.floor)
        folder = workspace.folder(cell)
        folder.mkdir(parents=True)
        for name, content in {LOCK_FILE: lock_text(lock), **workspace.render(cell, lock)}.items():
            (folder / name).write_text(content, encoding="utf-8")


def measure(place: Path) -> dict[str, float]:
    """Return the seconds to parse, expand, render and compare, and the peak megabytes of this process."""
    start = time.perf_counter()
    workspace = open_workspace(place / "matrix.toml")
    findings = list(check_drift(workspace, list(workspace.cells()), tuple(Platform)))
    seconds = time.perf_counter() - start
    if findings:
        raise AssertionError(findings[0])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "peak_mb": peak / (1_000_000 if sys.platform == "darwin" else 1_000)}


if __name__ == "__main__":
    if len(sys.argv) == 4:
        write_synthetic(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
        subprocess.run([sys.executable, __file__, sys.argv[2]], check=True)
    else:
        print(json.dumps(measure(Path(sys.argv[1]))))
