"""`make bench`: measure what metalock costs, in relation to the engines that it needs.

Prints a table and writes benchmarks/results.json, row by row. `--only NAME` runs one of them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import auditing
import building
import grids
import locking
import scaling
import suite
from metalock.adapters.files import write_text
from rows import Row, rows_of

ROOT = Path(__file__).parents[1]
BENCHMARKS: dict[str, Callable[[Path, Path], Iterable[Row]]] = {
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
    measure(parser.parse_args().only or list(BENCHMARKS), ROOT / "benchmarks" / "results.json")


def measure(names: Sequence[str], path: Path) -> None:
    """Run these benchmarks; print and save each row as soon as it is there."""
    results: list[Row] = []
    for name in names:
        print(f"{name} …", file=sys.stderr)
        with tempfile.TemporaryDirectory(prefix="metalock-bench-", ignore_cleanup_errors=True) as folder:
            for row in rows_of(name, partial(BENCHMARKS[name], ROOT, Path(folder))):
                results.append(row)
                measured = f"{row['measured']!s:>10}  {row.get('target', '')}".rstrip()
                print(f"{row['benchmark']!s:17} {row['what']!s:84} {measured}", flush=True)
                write_text(path, json.dumps(results, indent=2) + "\n")
    print(f"written to {path}", file=sys.stderr)


if __name__ == "__main__":
    main()
