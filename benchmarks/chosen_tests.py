"""A pytest plugin of the mutation run: writes the time of each test, or runs given tests in a given order."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

WANTED = "METALOCK_MUTANTS_TESTS"
"""Variable with the file of the tests to run: a list of their ids."""
DURATIONS = "METALOCK_MUTANTS_DURATIONS"
"""Variable with the file that is written: test id to seconds."""
_durations: dict[str, float] = {}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the wanted tests only."""
    if WANTED in os.environ:
        wanted: list[str] = json.loads(Path(os.environ[WANTED]).read_text(encoding="utf-8"))
        position = {test: index for index, test in enumerate(wanted)}
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in position])
        items[:] = sorted(
            (item for item in items if item.nodeid in position), key=lambda item: position[item.nodeid]
        )


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note the time of a phase of a test."""
    _durations[report.nodeid] = _durations.get(report.nodeid, 0) + report.duration


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(exitstatus: int) -> None:
    """Write the times, or end the process at once: the rest of the work would change nothing."""
    if DURATIONS in os.environ:
        Path(os.environ[DURATIONS]).write_text(json.dumps(_durations), encoding="utf-8")
    elif WANTED in os.environ:
        os._exit(exitstatus)
