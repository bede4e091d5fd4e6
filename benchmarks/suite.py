"""Time of the smoke suite in one environment, and the part of it that importing TensorFlow takes."""

from __future__ import annotations

import json
import platform
import sys
import time
from pathlib import Path

from building import ENV
from metalock.platforms import platform_of
from rows import Rows, run, skipped

IMPORTS = (
    "environment.import", "devices.hide-gpu", "devices.memory-growth",
    "imports.tensorflow-keras-legacy-asked", "keras3.legacy-missing", "s3.tensorflow-alone",
    "second-install.pandas-import", "second-install.numpy-import", "second-install.keras-import",
)  # fmt: skip
"""The first of each process that imports TensorFlow; its seconds are mostly that."""


def whole(root: Path, folder: Path) -> Rows:
    """Measure the suite in a venv, which needs no channel."""
    own = platform_of(sys.platform, platform.machine())
    what = f"metalock smoke, {ENV}, seconds"
    if not (root / "envs" / str(own) / ENV).is_dir():
        return [skipped(what, f"there is no {ENV} for this machine")]
    prefix = folder / "prefix"
    metalock = [sys.executable, "-m", "metalock"]
    build = [
        *metalock,
        "build",
        ENV,
        "--backend",
        "venv",
        "--python",
        sys.executable,
        "--prefix",
        str(prefix),
    ]
    run(build, cwd=root)
    start = time.perf_counter()
    smoke = [*metalock, "smoke", str(prefix), "--env", ENV, "--json"]
    done = run(smoke, cwd=root)
    wall = time.perf_counter() - start
    seconds = {row["name"]: float(row["seconds"]) for row in json.loads(done)["capabilities"]}
    areas: dict[str, float] = {}
    for name, value in seconds.items():
        area = "the first of each process" if name in IMPORTS else name.partition(".")[0]
        areas[area] = round(areas.get(area, 0) + value, 1)
    parts = dict(sorted(areas.items(), key=lambda item: -item[1]))
    rows: Rows = [{"what": what, "measured": f"{wall:.0f} s", "target": "< 90 s", "seconds_by_area": parts}]
    rows += [
        {"what": f"  of them, two at a time: {area}", "measured": f"{parts[area]:.0f} s"}
        for area in list(parts)[:6]
    ]
    return rows
