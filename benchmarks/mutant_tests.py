"""Runs tests on copies of the tree, each time in a fork of a process that has imported the libraries."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

import chosen_tests
from mutants import Mutant

MEMORY = 4 << 30
"""Bytes that the tests of a mutant may take: a loop that does not end may fill the memory."""
FIRST = 20
"""Tests that are tried alone before the others: most mutants do not survive them."""
PATIENCE = 30.0
"""Seconds that a mutant's tests get in addition to five times their normal time; then it counts as killed."""
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
    "mutant_tests",
    "click",
    "coverage",
    "filelock",
    "hypothesis",
    "isal.igzip_lib",
    "jinja2",
    "packaging.requirements",
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


def preload() -> None:
    """Have the libraries imported by the process that test runs are forked from, and nothing of metalock."""
    SERVER.set_forkserver_preload(LIBRARIES)


def copy_tree(source: Path, target: Path) -> Path:
    """Copy what git has, and new files that it does not ignore; return the target."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - the user's git
        cwd=source,
        check=True,
        capture_output=True,
        encoding="utf-8",
    )
    for name in sorted(set(listed.stdout.split("\0")) - {""}):
        if (source / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, target / name, follow_symlinks=False)
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


def measure(tree: Path, packages: Sequence[str]) -> Baseline:
    """Run all unit tests and doctests once, with the lines that each runs; they have to pass."""
    report = tree / "measured.json"
    variables = {chosen_tests.REPORT: str(report), chosen_tests.COVERED: ":".join(packages)}
    if run_pytest(tree, ["tests/unit", "src"], variables, None) != 0:
        raise SystemExit((tree / "mutation.log").read_text(encoding="utf-8")[-3000:])
    return Baseline(**json.loads(report.read_text(encoding="utf-8")))


def run_tests(tree: Path, tests: Sequence[str], baseline: Baseline) -> int | None:
    """Run these tests until one fails; return pytest's exit code, or None if they did not end in time."""
    (tree / "wanted.json").write_text(json.dumps(tests), encoding="utf-8")
    variables = {chosen_tests.WANTED: "wanted.json"}
    files = dict.fromkeys(test.partition("::")[0] for test in tests)
    return run_pytest(tree, ["-x", *files], variables, PATIENCE + 5 * baseline.time(tests))


def require_clean(tree: Path, baseline: Baseline, packages: Sequence[str]) -> None:
    """Raise `SystemExit` if tests fail without a mutant: then all mutants would count as killed."""
    for path in packages:
        tests = [test for file, tests in baseline.lines.items() if file.startswith(path) for test in tests]
        if run_tests(tree, baseline.fastest(tests)[:FIRST], baseline) != 0:
            raise SystemExit((tree / "mutation.log").read_text(encoding="utf-8")[-3000:])
