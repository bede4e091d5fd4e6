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
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from queue import SimpleQueue

import pytest
from coverage import CoverageData

import chosen_tests
from mutants import Mutant, draw, mutants_of

ROOT = Path(__file__).parents[1]
PACKAGES = tuple(f"src/metalock/{name}" for name in ("lock", "matrix", "evidence", "audit"))
RESULTS = ROOT / ".metalock-mutants"
MEMORY = 4 << 30
"""Bytes that the tests of a mutant may take: a loop that does not end may fill the memory."""
FIRST = 20
"""Tests that are tried alone before the others: most mutants do not survive them."""
PATIENCE = 30.0
"""Seconds that a mutant's tests get in addition to five times their normal time; then it counts as killed."""
FAILED = (1, 2, 4)
"""Exit codes of pytest for failed tests, and for modules and a conftest.py that can't be imported."""
OPTIONS = (
    "-q",
    "-p",
    "no:cacheprovider",
    "-p",
    "chosen_tests",
    "-W",
    "ignore::pytest.PytestAssertRewriteWarning",
)
SERVER = multiprocessing.get_context("forkserver")
LIBRARIES = [
    "chosen_tests",
    "click",
    "filelock",
    "hypothesis",
    "isal.igzip_lib",
    "jinja2",
    "packaging.requirements",
    "pytest_cov.plugin",
    "requests",
    "rich.progress",
    "urllib3",
    "yaml",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Which tests run which lines, and how long each takes, without a mutant."""

    seconds: Mapping[str, float]
    lines: Mapping[str, Mapping[str, Sequence[int]]]
    """Path to test id to the lines of that file that the test runs."""

    def tests(self, mutant: Mutant) -> list[str]:
        """Return the tests that run the mutant's statement, the fastest first."""
        found = [
            test
            for test, lines in self.lines.get(mutant.path, {}).items()
            if mutant.place.at_import or any(line in mutant.place.lines for line in lines)
        ]
        return self.fastest(found)

    def more_tests(self, mutant: Mutant) -> list[str]:
        """Return the other tests that use its file: a cached result hides which tests depend on a line."""
        return self.fastest(set(self.lines.get(mutant.path, {})) - set(self.tests(mutant)))

    def time(self, tests: Sequence[str]) -> float:
        """Return the seconds that the tests take."""
        return sum(self.seconds.get(test, 0) for test in tests)

    def fastest(self, tests: Iterable[str]) -> list[str]:
        """Return the tests in the order of their time."""
        return sorted(tests, key=lambda test: (self.seconds.get(test, 0), test))


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


def key_of(mutant: Mutant) -> str:
    """Return the name of a mutant in the file of results: bound to the text of its file."""
    source = sha256((ROOT / mutant.path).read_bytes()).hexdigest()
    return sha256(f"{mutant.path} {source} {mutant.start} {mutant.after}".encode()).hexdigest()


def copy_tree(target: Path) -> Path:
    """Copy what git has, and new files that it does not ignore; return the target."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - the user's git
        cwd=ROOT,
        check=True,
        capture_output=True,
        encoding="utf-8",
    )
    for name in sorted(set(listed.stdout.split("\0")) - {""}):
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name, follow_symlinks=False)
    return target


def pytest_in(tree: Path, args: Sequence[str], variables: Mapping[str, str]) -> None:
    """Run pytest on a copy of the tree and end this process with its exit code."""
    os.chdir(tree)
    os.environ.update(variables)
    sys.dont_write_bytecode = False  # it saves half of the time of each run
    sys.path[:0] = [str(tree / "src")]
    log = os.open("mutation.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    for stream in (1, 2):
        os.dup2(log, stream)
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    code = 99
    try:
        code = pytest.main([*OPTIONS, *args])
    except BaseException:  # noqa: BLE001 - it goes into the log
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)  # without the threads that a mutant may have left


def run_pytest(
    tree: Path, args: Sequence[str], variables: Mapping[str, str], timeout: float | None
) -> int | None:
    """Return pytest's exit code, or None if it did not end in time.

    Each run is forked from a process that has imported the libraries but nothing of metalock.
    """
    process = SERVER.Process(target=pytest_in, args=(tree, args, variables))
    process.start()
    process.join(timeout)
    if process.exitcode is None:
        process.kill()
        process.join()
        return None
    return process.exitcode


def measure(tree: Path) -> Baseline:
    """Run all unit tests and doctests once, with the lines that each runs; they have to pass."""
    variables = {"COVERAGE_FILE": str(tree / "mutation.coverage"), chosen_tests.DURATIONS: "durations.json"}
    packages = [f"--cov={package}" for package in PACKAGES]
    args = ["tests/unit", "src", *packages, "--cov-config=/dev/null", "--cov-context=test", "--cov-report="]
    if run_pytest(tree, args, variables, None) != 0:
        raise SystemExit((tree / "mutation.log").read_text(encoding="utf-8")[-3000:])
    data = CoverageData(variables["COVERAGE_FILE"])
    data.read()
    lines: dict[str, dict[str, list[int]]] = {}
    for file in data.measured_files():
        tests = lines.setdefault(str(Path(file).relative_to(tree.resolve())), {})
        for line, contexts in sorted(data.contexts_by_lineno(file).items()):
            for test in {context.rpartition("|")[0] for context in contexts if context}:
                tests.setdefault(test, []).append(line)
    return Baseline(seconds=json.loads((tree / "durations.json").read_text(encoding="utf-8")), lines=lines)


def load_baseline(tree: Path, state: str) -> Baseline:
    """Return the baseline of this state of the code, measured if it is not known yet."""
    path = RESULTS / f"baseline-{state[:16]}.json"
    if not path.exists():
        print("running all unit tests once …", file=sys.stderr)
        measured = measure(tree)
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
            if code is None or code in FAILED:
                return "killed"
            if code != 0:
                raise SystemExit(f"{mutant}\npytest ended with {code}; see {tree / 'mutation.log'}")
    return "survived" if own else "not run"


def require_clean(tree: Path, baseline: Baseline) -> None:
    """Raise `SystemExit` if tests fail without a mutant: then all mutants would count as killed."""
    for path in PACKAGES:
        tests = [test for file, tests in baseline.lines.items() if file.startswith(path) for test in tests]
        if run_tests(tree, baseline.fastest(tests)[:FIRST], baseline) != 0:
            raise SystemExit((tree / "mutation.log").read_text(encoding="utf-8")[-3000:])


def run_tests(tree: Path, tests: Sequence[str], baseline: Baseline) -> int | None:
    """Run these tests until one fails; return pytest's exit code, or None if they did not end in time."""
    (tree / "wanted.json").write_text(json.dumps(tests), encoding="utf-8")
    variables = {chosen_tests.WANTED: "wanted.json"}
    files = dict.fromkeys(test.partition("::")[0] for test in tests)
    return run_pytest(tree, ["-x", *files], variables, PATIENCE + 5 * baseline.time(tests))


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

    waiting = [mutant for mutant in drawn if results.known(key_of(mutant)) is None]
    with ThreadPoolExecutor(len(trees)) as pool:
        for index, (mutant, outcome) in enumerate(pool.map(one, waiting), 1):
            if outcome is not None:
                results.add(key_of(mutant), outcome)
                print(f"{index}/{len(waiting)} {outcome}: {mutant}", file=sys.stderr)


def report(drawn: Sequence[Mutant], results: Results) -> str:
    """Return the score and the survivors as text."""
    outcomes = {mutant: results.known(key_of(mutant)) or "not tried" for mutant in drawn}
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
    SERVER.set_forkserver_preload(["__main__", *LIBRARIES])
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
        trees = [copy_tree(Path(folder).resolve() / str(number)) for number in range(options.jobs)]
        baseline = load_baseline(trees[0], state)
        require_clean(trees[0], baseline)
        try_all(drawn, trees, baseline, results, until)
    print(report(drawn, results))


if __name__ == "__main__":
    main()
