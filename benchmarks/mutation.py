"""`make mutants`: how many small faults in the code the unit tests find.

Draws mutants of `lock`, `matrix`, `audit` and `evidence` with a fixed seed, runs for each the unit tests and
doctests that run its lines, and prints the survivors and the score. Works on copies of the tree. Results are
kept in `.metalock-mutants/`, so that an interrupted run continues; after a change of code or tests, what
survived is tried again.

Why not mutmut (3.8 was tried): it leaves out decorated functions and all code outside of functions, which is
23 % of the statements here (dataclass defaults, tables, patterns of valid values); nearly half of its mutants
replace a value by None, which crashes at once; it removes no statement; and it draws no sample by seed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from queue import SimpleQueue

from mutant_tests import FIRST, Baseline, copy_tree, measure, preload, require_clean, run_tests
from mutants import Mutant, draw, mutants_of

ROOT = Path(__file__).parents[1]
PACKAGES = tuple(f"src/metalock/{name}" for name in ("lock", "matrix", "evidence", "audit"))
RESULTS = ROOT / ".metalock-mutants"
FAILED = (1, 2)
"""Exit codes of pytest for failed tests, and for test modules that cannot be imported."""


@dataclass(slots=True)
class Results:
    """What became known of each mutant, in a file that outlives the run."""

    path: Path
    state: str
    """Digest of all code and tests."""
    entries: dict[str, dict[str, str]] = field(default_factory=dict)

    def known(self, key: str) -> str | None:
        """Return the outcome, if it is still valid: after a change, only killed mutants keep theirs."""
        entry = self.entries.get(key)
        if entry is None or (entry["outcome"] != "killed" and entry["state"] != self.state):
            return None
        return entry["outcome"]

    def add(self, key: str, outcome: str) -> None:
        """Note an outcome, and write the file whole."""
        self.entries[key] = {"outcome": outcome, "state": self.state}
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(self.entries, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        new.replace(self.path)


def digest(paths: Sequence[Path]) -> str:
    """Return the sha256 of files with their names."""
    total = sha256()
    for path in sorted(paths):
        data = path.read_bytes()
        total.update(f"{path.relative_to(ROOT)} {len(data)}\n".encode() + data)
    return total.hexdigest()


def load_baseline(tree: Path, state: str) -> Baseline:
    """Return the baseline of this state of the code, measured if it is not known yet."""
    path = RESULTS / f"baseline-{state[:16]}.json"
    if not path.exists():
        print("running all unit tests once …", file=sys.stderr)
        measured = measure(tree, PACKAGES)
        path.write_text(json.dumps({"seconds": measured.seconds, "lines": measured.lines}), encoding="utf-8")
    return Baseline(**json.loads(path.read_text(encoding="utf-8")))


@contextmanager
def mutated(tree: Path, mutant: Mutant) -> Iterator[None]:
    """Put the mutant into a copy of the tree while the block runs."""
    path = tree / mutant.path
    source = path.read_bytes()
    write_source(path, mutant.apply(source))
    try:
        yield
    finally:
        write_source(path, source)


def write_source(path: Path, source: bytes) -> None:
    """Write a module, and remove its bytecode: Python compares only size and seconds with the source."""
    path.write_bytes(source)
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        compiled.unlink()


def outcome_of(tree: Path, mutant: Mutant, baseline: Baseline) -> str:
    """Return whether the tests kill the mutant, or that none runs its lines."""
    own, others = baseline.tests(mutant), baseline.more_tests(mutant)
    with mutated(tree, mutant):
        for tests in filter(None, (own[:FIRST], own[FIRST:], others)):
            code = run_tests(tree, tests, baseline)
            if code is None or code in FAILED or code < 0:  # a signal
                return "killed"
            if code != 0:
                raise SystemExit(f"{mutant}\npytest ended with {code}; see {tree / 'mutation.log'}")
    return "survived" if own else "not run"


def try_all(
    drawn: Sequence[Mutant], trees: Sequence[Path], baseline: Baseline, results: Results, until: float
) -> None:
    """Try the mutants that have no valid result yet, until that time."""
    free: SimpleQueue[Path] = SimpleQueue()
    for tree in trees:
        free.put(tree)

    def one(mutant: Mutant) -> tuple[Mutant, str | None]:
        if time.monotonic() > until:
            return mutant, None
        tree = free.get()
        try:
            return mutant, outcome_of(tree, mutant, baseline)
        finally:
            free.put(tree)

    waiting = [mutant for mutant in drawn if results.known(mutant.key) is None]
    with ThreadPoolExecutor(len(trees)) as pool:
        for index, (mutant, outcome) in enumerate(pool.map(one, waiting), 1):
            if outcome is not None:
                results.add(mutant.key, outcome)
                print(f"{index}/{len(waiting)} {outcome}: {mutant}", file=sys.stderr)


def report(drawn: Sequence[Mutant], results: Results) -> str:
    """Return the score and the survivors as text."""
    outcomes = {mutant: results.known(mutant.key) or "not tried" for mutant in drawn}
    counts = {
        word: sum(outcome == word for outcome in outcomes.values())
        for word in ("killed", "survived", "not run", "not tried")
    }
    tried = len(drawn) - counts["not tried"]
    left = [mutant for mutant in drawn if outcomes[mutant] not in ("killed", "not tried")]
    left.sort(key=lambda mutant: (outcomes[mutant], mutant.path, mutant.start))
    lines = [f"{outcomes[mutant]}: {mutant}" for mutant in left]
    share = f"{counts['killed'] / tried:.1%}" if tried else "none tried"
    numbers = ", ".join(f"{count} {word}" for word, count in counts.items())
    return "\n".join([*lines, f"{len(drawn)} mutants: {numbers}; score {share}"])


def main() -> None:
    """Run the mutants and print the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=400, help="mutants to draw (default: 400)")
    parser.add_argument("--seed", type=int, default=10, help="another seed draws other mutants (default: 10)")
    parser.add_argument("--jobs", type=int, default=1, help="tried at the same time (default: 1)")
    parser.add_argument("--minutes", type=float, default=60, help="no new mutant after these (default: 60)")
    parser.add_argument(
        "--only", action="append", help="of the drawn ones, those whose path contains this; repeatable"
    )
    options = parser.parse_args()
    preload()
    until = time.monotonic() + 60 * options.minutes
    modules = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    every = [m for path in modules for m in mutants_of(path.relative_to(ROOT).as_posix(), path.read_bytes())]
    drawn = [
        mutant
        for mutant in draw(every, options.count, options.seed)
        if any(part in mutant.path for part in options.only or [""])
    ]
    RESULTS.mkdir(exist_ok=True)
    state = digest([*(ROOT / "src").rglob("*.py"), *(ROOT / "tests" / "unit").rglob("*.py")])
    path = RESULTS / "results.json"
    results = Results(path, state, json.loads(path.read_text(encoding="utf-8")) if path.exists() else {})
    with tempfile.TemporaryDirectory(prefix="metalock-mutants-") as folder:
        trees = [copy_tree(ROOT, Path(folder).resolve() / str(number)) for number in range(options.jobs)]
        baseline = load_baseline(trees[0], state)
        require_clean(trees[0], baseline, PACKAGES)
        try_all(drawn, trees, baseline, results, until)
    print(report(drawn, results))


if __name__ == "__main__":
    main()
