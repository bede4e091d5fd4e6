"""`make bench`: what metalock costs, as ratios to what it can't do without.

Prints a table and writes benchmarks/results.json. `--only NAME` runs one of them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import auditing
import building
import grids
import locking
import scaling
import suite

ROOT = Path(__file__).parents[1]
BENCHMARKS: dict[str, Callable[[Path, Path], list[dict[str, object]]]] = {
    "nothing-to-do": locking.nothing_to_do,
    "scaling": scaling.matrices,
    "from-nothing": locking.from_nothing,
    "conda-lock": locking.against_conda_lock,
    "build": building.warm,
    "build-conda": building.against_conda,
    "suite": suite.whole,
    "one-wheel": auditing.one_wheel,
    "wheels": auditing.several_wheels,
    "grid": grids.cached,
    "grid-from-nothing": grids.from_nothing,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=list(BENCHMARKS), action="append", help="repeatable")
    results: list[dict[str, object]] = []
    for name in parser.parse_args().only or BENCHMARKS:
        print(f"{name} …", file=sys.stderr)
        with tempfile.TemporaryDirectory(prefix="metalock-bench-") as folder:
            results += [{"benchmark": name, **row} for row in BENCHMARKS[name](ROOT, Path(folder))]
    for row in results:
        print(f"{row['benchmark']!s:17} {row['what']!s:84} {row['measured']!s:>10}  {row.get('target', '')}")
    path = ROOT / "benchmarks" / "results.json"
    path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(f"written to {path}", file=sys.stderr)


if __name__ == "__main__":
    main()
