"""What every benchmark gives: rows of a table, each with a number or the reason why there is none."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

Row = dict[str, object]
Rows = list[Row]
LIMIT = 1800.0
"""Seconds after which a program counts as hanging."""


class NotMeasuredError(Exception):
    """A program of a benchmark could not be run to a good end."""


def skipped(what: str, why: str) -> Row:
    """Return the row of what cannot be measured on this machine."""
    return {"what": what, "measured": f"skipped: {why}"}


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    limit: float = LIMIT,
) -> bytes:
    """Run a program and return what it printed; raise `NotMeasuredError` if it fails or hangs.

    Whatever it started is ended with it.
    """
    name = Path(command[0]).name
    try:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise NotMeasuredError(f"{name} cannot be started: {error.strerror}") from None
    with process:
        try:
            out, err = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            raise NotMeasuredError(f"{name} did not end within {limit:.0f} s") from None
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode != 0:
        said = err.decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(said) if line.strip()), "it printed no error")
        raise NotMeasuredError(f"{name} ended with code {process.returncode}: {last}")
    return out


def rows_of(name: str, benchmark: Callable[[], Iterable[Row]]) -> Iterator[Row]:
    """Give the rows of a benchmark as they come, and in place of those that failed one that is skipped."""
    try:
        for row in benchmark():
            yield {"benchmark": name, **row}
    except Exception as error:  # noqa: BLE001 - whatever it is, the other benchmarks have to run
        why = " ".join(str(error).split()) or type(error).__name__
        yield {"benchmark": name, **skipped(name, why)}
