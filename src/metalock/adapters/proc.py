"""Runs other programs; no other module does."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from metalock.adapters.waiting import INTERRUPTED, POLL, TooLongError, Wait
from metalock.errors import ToolError, redact


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """How a program ended, and what it printed."""

    code: int
    stdout: str
    stderr: str


def run(
    args: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path,
    stdin: str = "",
    timeout: float = 1800,
    keep_open: Collection[int] = (),
    report: Callable[[], None] | None = None,
) -> Completed:
    """Run a program to its end, in exactly the environment given; `timeout` in seconds.

    It holds the file descriptors of `keep_open` for as long as it runs; `report` is called once if it
    takes long. Its output is returned without credentials. Raises `ToolError` if it can't be started or
    does not end in time; it is killed then, and when the run is interrupted.
    """
    try:
        process = subprocess.Popen(  # the one place: arguments are a list, never a shell's text
            [str(arg) for arg in args],
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            pass_fds=tuple(keep_open),
        )
    except FileNotFoundError:
        raise ToolError(f"{args[0]} is not installed") from None
    except OSError as error:
        raise ToolError(f"{args[0]} can't be started: {error.strerror}") from None
    with process:
        try:
            stdout, stderr = _communicate(process, stdin, Wait(timeout, report))
        except TooLongError:
            process.kill()
            raise ToolError(f"{Path(args[0]).name} did not end within {timeout:.0f} s") from None
        except BaseException:
            process.kill()
            raise
    return Completed(code=process.returncode, stdout=redact(stdout), stderr=redact(stderr))


def _communicate(process: subprocess.Popen[str], stdin: str, wait: Wait) -> tuple[str, str]:
    """Return what the program prints until its end; raise what `wait` does."""
    unsent: str | None = stdin
    while True:
        try:
            return process.communicate(unsent, POLL)
        except subprocess.TimeoutExpired:
            unsent = None  # it is sent once
            wait.check()


class Child:
    """A program that runs at the same time, in a process group of its own."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def code(self, wait: float = 0) -> int | None:
        """Return the exit code, or minus a signal's number; None if it still runs after `wait` seconds."""
        try:
            return self._process.wait(wait)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """Kill it and what it has started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@contextmanager
def started(args: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path, log: Path) -> Iterator[Child]:
    """Run a program during the block, with all its output appended to `log`; kill it at the end.

    Raises `ToolError` if it can't be started.
    """
    with log.open("ab") as output:
        try:
            process = subprocess.Popen(
                [str(arg) for arg in args],
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise ToolError(f"{args[0]} can't be started: {error.strerror}") from None
    child = Child(process)
    try:
        yield child
    finally:
        child.kill()


@contextmanager
def termination_interrupts() -> Iterator[None]:
    """Let SIGINT and SIGTERM raise `KeyboardInterrupt` in the block, and end the waits of all its threads.

    A SIGINT that is ignored, as in a background job of a shell, stays ignored.
    """

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        INTERRUPTED.set()
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    INTERRUPTED.clear()
    kinds = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        kinds.append(signal.SIGINT)
    before = {kind: signal.signal(kind, interrupt) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
        INTERRUPTED.clear()
