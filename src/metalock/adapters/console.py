"""What a person sees: data on stdout, talk on stderr; bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

import click

from metalock.errors import MetalockError
from metalock.progress import Reporter

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


def out(text: str) -> None:
    """Data."""
    click.echo(text)


def say(text: str) -> None:
    """Talk."""
    click.echo(text, err=True)


def say_error(error: MetalockError) -> None:
    """Print an error, and how to fix it."""
    say(f"error: {error}")
    if error.hint:
        say(f"hint: {error.hint}")


def is_terminal() -> bool:
    return sys.stderr.isatty()


class PlainReporter(Reporter):
    """A line for each step, for logs and pipes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._done = self._total = 0

    def start(self, label: str, total: int) -> None:
        self._done, self._total = 0, total
        say(f"{label}: {total}")

    def advance(self, item: str, outcome: str = "") -> None:
        with self._lock:
            self._done += 1
            if outcome:
                say(f"[{self._done}/{self._total}] {item}: {outcome}")

    def note(self, text: str) -> None:
        say(text)


class TerminalReporter(Reporter):
    """A bar, with the steps scrolling above it."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def start(self, label: str, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True, highlight=False),
            transient=True,
        )
        self._progress.start()
        self._task = self._progress.add_task(label, total=total)

    def advance(self, item: str, outcome: str = "") -> None:
        if self._progress is not None and self._task is not None:
            if outcome:
                self._progress.console.print(f"{item}: {outcome}", markup=False)
            self._progress.advance(self._task)

    def finish(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def note(self, text: str) -> None:
        if self._progress is not None:
            self._progress.console.print(text, markup=False)
        else:
            say(text)


def make_reporter() -> Reporter:
    """The one that fits where stderr goes."""
    return TerminalReporter() if is_terminal() else PlainReporter()
