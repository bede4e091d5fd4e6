"""What a user sees: data on stdout, everything else on stderr; bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import re
import sys
import threading
from typing import TYPE_CHECKING, TextIO

import click

from metalock.errors import MetalockError, ToolError
from metalock.progress import Reporter

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


_CONTROL = re.compile(r"\x1b(?!\[[0-9;]*m)|[\0-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]")
"""What a terminal obeys instead of showing it, but for colours: names of files and answers may hold it."""


class OutputClosedError(KeyboardInterrupt):
    """Nobody reads the output any more, as in `metalock list | head -1`: the run ends as after Ctrl-C."""


def out(text: str) -> None:
    """Print data."""
    _print(text, sys.stdout, "standard output")


def say(text: str) -> None:
    """Print a message."""
    _print(text, sys.stderr, "standard error")


def _print(text: str, stream: TextIO | None, name: str) -> None:
    if stream is None:
        return
    text = _shown(text)
    encoding = stream.encoding or "utf-8"
    try:
        click.echo(text.encode(encoding, "backslashreplace").decode(encoding), file=stream)
    except BrokenPipeError:
        silence(stream)
        raise OutputClosedError from None
    except OSError as error:
        silence(stream)
        raise ToolError(f"{name}: {error.strerror}") from None


def _shown(text: str) -> str:
    """Return the text with control characters as their escapes."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def silence(stream: TextIO) -> None:
    """Discard all further output of the stream, and what it still holds."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


def error_lines(error: MetalockError) -> list[str]:
    """Return the lines that show an error, and how to fix it."""
    return [f"error: {error}", *([f"hint: {error.hint}"] if error.hint else [])]


def is_terminal() -> bool:
    """Return whether a person reads the messages."""
    return sys.stderr is not None and sys.stderr.isatty()


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
    """A bar, with the steps above it."""

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
                self._progress.console.print(_shown(f"{item}: {outcome}"), markup=False)
            self._progress.advance(self._task)

    def finish(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def note(self, text: str) -> None:
        if self._progress is not None:
            self._progress.console.print(_shown(text), markup=False)
        else:
            say(text)


def make_reporter() -> Reporter:
    """Return a reporter with bars if stderr is a terminal, else one with plain lines."""
    return TerminalReporter() if is_terminal() else PlainReporter()
