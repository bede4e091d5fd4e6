"""The one door to other programs."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from metalock.errors import ToolError, redact


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """How a program ended, and what it said."""

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
) -> Completed:
    """Run a program to its end, in exactly the environment given; `timeout` in seconds.

    It holds the file descriptors of `keep_open` for as long as it runs. Raises `ToolError` if
    it can't be started or doesn't end in time. What it printed comes back without credentials.
    """
    try:
        result = subprocess.run(  # the one place: arguments are a list, never a shell's text
            [str(arg) for arg in args],
            env=dict(env),
            cwd=cwd,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            pass_fds=tuple(keep_open),
            check=False,
        )
    except FileNotFoundError:
        raise ToolError(f"{args[0]} is not installed") from None
    except OSError as error:
        raise ToolError(f"{args[0]} can't be started: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise ToolError(f"{Path(args[0]).name} did not end within {timeout:.0f} s") from None
    return Completed(code=result.returncode, stdout=redact(result.stdout), stderr=redact(result.stderr))


class Child:
    """A program that runs beside this one, with a process group of its own."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def code(self, wait: float = 0) -> int | None:
        """The exit code, or minus a signal's number; None if it still runs after `wait` seconds."""
        try:
            return self._process.wait(wait)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """End it and what it has started, at once."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@contextmanager
def started(args: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path, log: Path) -> Iterator[Child]:
    """Run a program beside this one, all its output going to the end of `log`; it is killed at the end.

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
    """SIGTERM ends the block as Ctrl-C does, so that what was begun is taken away."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
