"""The pytest plugin that selects the capabilities asked for and records their results."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Dict, Generator, List

import pytest


def key_of(item: pytest.Item) -> str:
    """Return the capability's name, with `@cpu` or `@gpu` if it is tried on a device."""
    marker = item.get_closest_marker("capability")
    if marker is None:
        raise pytest.UsageError(f"{item.nodeid} has no capability marker")
    name = str(marker.args[0])
    callspec = getattr(item, "callspec", None)
    device = callspec.params.get("device") if callspec is not None else None
    return f"{name}@{device}" if device else name


def collect_garbage() -> None:
    """Free the objects in cycles that a test leaves behind, as a part of the time of that test.

    Freeing a `tf.data` iterator sometimes waits until its autotuning thread wakes up (seen in
    `Model::OptimizeLoop` of TensorFlow 2.18: 40 s, for an iterator that a failed `fit` had left long before),
    and that thread sleeps longer each time, up to a minute (`kOptimizationPeriodMaxMs`,
    core/framework/model.h). So garbage is not left for a later test.
    """
    for name in ("last_exc", "last_value", "last_traceback"):  # pytest keeps the last failure there
        vars(sys).pop(name, None)
    gc.collect(0)


class Recorder:
    """Writes one event per line: `start` with the offset of the output, `value`, `end`, and the devices."""

    def __init__(self, events: Path, names: List[str]) -> None:
        self._file = events.open("a", encoding="utf-8")
        self._names = names
        self._began = 0.0
        self._end: Dict[str, object] = {}

    def emit(self, kind: str, **fields: object) -> None:
        self._file.write(json.dumps({"event": kind, **fields}, default=str) + "\n")
        self._file.flush()

    def pytest_configure(self, config: pytest.Config) -> None:
        config.addinivalue_line("markers", "capability(name): the capability of the contract that this tries")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: List[pytest.Item]) -> None:
        known = {key_of(item): item for item in items}
        unknown = [name for name in self._names if name not in known]
        if unknown:
            raise pytest.UsageError(f"no test for {', '.join(unknown)}")
        items[:] = [known[name] for name in self._names]

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, None, None]:
        self.emit("start", name=key_of(item), log=os.fstat(2).st_size)
        self._end = {"outcome": "passed", "error": ""}
        self._began = time.perf_counter()
        yield
        collect_garbage()
        self.emit("end", name=key_of(item), seconds=time.perf_counter() - self._began, **self._end)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Generator[None, None, None]:
        yield
        info = call.excinfo
        if info is None or self._end["outcome"] != "passed":
            return
        error = "".join(traceback.format_exception_only(info.type, info.value)).strip()
        if info.errisinstance(pytest.skip.Exception):
            self._end = {"outcome": "skipped", "error": str(info.value)}
        elif info.errisinstance((AssertionError, pytest.fail.Exception)):
            self._end = {"outcome": "wrong", "error": error}
        else:
            self._end = {"outcome": "raised", "error": error}

    def pytest_sessionfinish(self) -> None:
        tensorflow = sys.modules.get("tensorflow")
        config = getattr(tensorflow, "config", None)
        if config is None:
            return
        found = {kind: config.list_physical_devices(kind) for kind in ("CPU", "GPU")}
        names = [
            str(config.experimental.get_device_details(device).get("device_name", device.name))
            for device in found["GPU"]
        ]
        self.emit("devices", cpus=len(found["CPU"]), gpus=names)
