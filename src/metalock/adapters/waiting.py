"""Waits that end: after a limit, or at once when the run is interrupted. A long wait is reported."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

INTERRUPTED = threading.Event()
"""Set by the first SIGINT or SIGTERM of a run; every wait ends then, in all threads."""
POLL = 0.1
"""Seconds between two looks at it."""
REPORT_AFTER = 10.0
Value = TypeVar("Value")


class TooLongError(Exception):
    """A wait has reached its limit."""


class Wait:
    """One wait: at most `limit` seconds, and `report` is called once after `report_after` seconds."""

    def __init__(
        self,
        limit: float,
        report: Callable[[], None] | None = None,
        report_after: float = REPORT_AFTER,
    ) -> None:
        self._start = time.monotonic()
        self._limit = limit
        self._report = report
        self._report_after = report_after

    def check(self) -> None:
        """Raise `KeyboardInterrupt` if the run is interrupted, `TooLongError` if the limit is reached."""
        if INTERRUPTED.is_set():
            raise KeyboardInterrupt
        passed = time.monotonic() - self._start
        if self._report is not None and passed > self._report_after:
            report, self._report = self._report, None
            report()
        if passed > self._limit:
            raise TooLongError


def pause(seconds: float) -> None:
    """Sleep; raise `KeyboardInterrupt` if the run is interrupted meanwhile."""
    wait = Wait(seconds)
    while True:
        try:
            wait.check()
        except TooLongError:
            return
        time.sleep(min(POLL, seconds))


def in_background(work: Callable[[], Value], wait: Wait) -> Value:
    """Return what `work` returns; raise what it raises, or what `wait` does.

    The thread that it runs in is given up when the wait ends first: no system call can hold up the run.
    """
    from concurrent.futures import Future
    from concurrent.futures import wait as wait_for

    future: Future[Value] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - the waiting thread raises it
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    while not wait_for({future}, POLL).done:
        wait.check()
    return future.result()


async def watched(work: Awaitable[Value], check: Callable[[], None]) -> Value:
    """Await `work`; cancel it if `check`, called often, raises an exception."""
    import asyncio

    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=POLL))[0]:
            check()
    except BaseException:
        task.cancel()
        raise
    return task.result()
