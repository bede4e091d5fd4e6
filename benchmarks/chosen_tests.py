"""A pytest plugin of the mutation run: notes times and lines of tests, or runs given tests in given order."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from coverage import Coverage

WANTED = "METALOCK_MUTANTS_TESTS"
"""Variable with the file of the tests to run: a list of their ids."""
REPORT = "METALOCK_MUTANTS_REPORT"
"""Variable with the file that is written: the seconds of each test, and the lines that it runs."""
COVERED = "METALOCK_MUTANTS_COVERED"
"""Variable with the folders whose lines count, joined by colons."""
_seconds: dict[str, float] = {}
_coverage: list[Coverage] = []


def pytest_sessionstart() -> None:
    """Start to note lines."""
    if REPORT in os.environ:
        coverage = Coverage(data_file=None, config_file=False, source=os.environ[COVERED].split(":"))
        coverage.start()
        _coverage.append(coverage)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the wanted tests only."""
    if WANTED in os.environ:
        wanted: list[str] = json.loads(Path(os.environ[WANTED]).read_text(encoding="utf-8"))
        position = {test: index for index, test in enumerate(wanted)}
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in position])
        items[:] = sorted(
            (item for item in items if item.nodeid in position), key=lambda item: position[item.nodeid]
        )


def pytest_runtest_logstart(nodeid: str) -> None:
    """Note lines for this test from now on."""
    for coverage in _coverage:
        coverage.switch_context(nodeid)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note the time of a phase of a test."""
    _seconds[report.nodeid] = _seconds.get(report.nodeid, 0) + report.duration


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(exitstatus: int) -> None:
    """Write the report, or end the process at once: the rest of the work would change nothing."""
    for coverage in _coverage:
        coverage.stop()
        report = {"seconds": _seconds, "lines": _lines(coverage)}
        Path(os.environ[REPORT]).write_text(json.dumps(report), encoding="utf-8")
    if WANTED in os.environ:
        os._exit(exitstatus)


def _lines(coverage: Coverage) -> dict[str, dict[str, list[int]]]:
    """Return the lines that each test runs, by file."""
    data = coverage.get_data()
    found: dict[str, dict[str, list[int]]] = {}
    for file in data.measured_files():
        tests = found.setdefault(Path(file).relative_to(Path.cwd()).as_posix(), {})
        for line, contexts in sorted(data.contexts_by_lineno(file).items()):
            for test in filter(None, contexts):  # empty: before the first test
                tests.setdefault(test, []).append(line)
    return found
