"""Trying capabilities in one process, also if a capability ends the process."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metalock.adapters.proc import started
from metalock.errors import ToolError
from metalock.evidence.contract import Capability
from metalock.evidence.model import Observation, Observed
from metalock.parsing import as_table, parse_json

START_SECONDS = 120
"""Time limit for Python and pytest to start, and again for TensorFlow."""
POLL_SECONDS = 0.05
TAIL = 3000
"""Characters of the output that an error repeats."""
MOST_OUTPUT = 8 << 20
"""Bytes at the end of a test's output that are searched for its cause."""
END_SECONDS = 30
"""Time limit for the interpreter to end after its last test."""
_LAST_WORDS = re.compile(
    r"Check failed|CHECK failed|Assertion failed|terminate called|terminating |Illegal|\] F\d|: F "
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSetup:
    """Where and how the driver runs."""

    python: Path
    driver: Path
    tools: Path
    scratch: Path
    environment: Mapping[str, str]
    interrupted: Callable[[], bool] = bool

    @property
    def events(self) -> Path:
        return self.scratch / "events.jsonl"

    @property
    def log(self) -> Path:
        return self.scratch / "output.log"

    def command(self, names: Iterable[str]) -> list[str | Path]:
        driver: list[str | Path] = [self.python, self.driver, "--tools", self.tools, "--events", self.events]
        return [*driver, "--scratch", self.scratch, *names]


@dataclass(slots=True)
class _Session:
    """The state of one process, as its events report it."""

    since: float
    """When the process or the present test started, or the last test ended."""
    running: str | None = None
    output: int = 0
    """Offset of the present test's output."""
    values: dict[str, dict[str, object]] = field(default_factory=dict)
    done: list[Observation] = field(default_factory=list)
    gpus: list[str] | None = None

    def take(self, event: dict[str, Any], now: float) -> Observation | None:
        """Note an event, and return the observation if it ends a test."""
        match event["event"]:
            case "start":
                self.running, self.since, self.output = event["name"], now, event["log"]
            case "value":
                self.values.setdefault(event["name"], {})[event["key"]] = event["value"]
            case "devices":
                self.gpus = event["gpus"]
            case "end":
                self.running, self.since = None, now
                self.done.append(
                    Observation(
                        name=event["name"],
                        observed=Observed(event["outcome"]),
                        error=event["error"],
                        values=self.values.get(event["name"], {}),
                        seconds=event["seconds"],
                    )
                )
                return self.done[-1]
            case _:
                pass
        return None

    def limit(self, limits: Mapping[str, int]) -> int:
        """Return the seconds that this step may take; the first test of a process also imports TensorFlow."""
        if self.running is not None:
            return limits[self.running] + (0 if self.done else START_SECONDS)
        return END_SECONDS if self.done else START_SECONDS


def try_together(
    capabilities: Sequence[Capability],
    setup: ProcessSetup,
    report: Callable[[Observation], None],
    clock: Callable[[], float] = time.monotonic,
) -> list[str] | None:
    """Try capabilities one after another in a process, and in a new one after a crash or a hang.

    Calls `report` with each observation. Returns the names of the GPUs that TensorFlow saw, or None if it was
    not imported. Raises `ToolError` with the output if the suite itself cannot start.
    """
    remaining = list(capabilities)
    gpus: list[str] | None = None
    while remaining:
        session = _try_in_one_process(remaining, setup, report, clock)
        done = {observation.name for observation in session.done}
        remaining = [capability for capability in remaining if capability.key not in done]
        gpus = session.gpus if session.gpus is not None else gpus
    return gpus


def _try_in_one_process(
    capabilities: Sequence[Capability],
    setup: ProcessSetup,
    report: Callable[[Observation], None],
    clock: Callable[[], float],
) -> _Session:
    limits = {capability.key: capability.seconds for capability in capabilities}
    setup.events.write_bytes(b"")
    setup.log.write_bytes(b"")
    session = _Session(since=clock())
    with (
        started(setup.command(limits), env=setup.environment, cwd=setup.scratch, log=setup.log) as child,
        setup.events.open("rb") as stream,
    ):
        unread = b""
        while True:
            code = child.code(POLL_SECONDS)
            if setup.interrupted():
                raise KeyboardInterrupt
            *lines, unread = (unread + stream.read()).split(b"\n")
            for line in lines:
                ended = _take(session, line, clock())
                if ended is not None:
                    report(ended)
            if code is not None or clock() - session.since > session.limit(limits):
                break
    last = _cut_short(session, code, limits, setup.log)
    if last is not None:
        session.done.append(last)
        report(last)
    if not session.done:
        raise ToolError(f"the smoke suite cannot start in this environment:\n{_text(setup.log)[-TAIL:]}")
    return session


def _take(session: _Session, line: bytes, now: float) -> Observation | None:
    """Note the event of a line; raise `ToolError` for one that the driver did not write."""
    try:
        return session.take(as_table(parse_json(line)), now)
    except (ValueError, KeyError, TypeError) as error:
        raise ToolError(f"an event of the smoke suite can't be read: {error}: {line[:TAIL]!r}") from None


def _cut_short(
    session: _Session, code: int | None, limits: Mapping[str, int], log: Path
) -> Observation | None:
    """Return the observation of the test that did not end, if there is one."""
    name = session.running
    if name is None:
        return None
    observed, error = Observed.HUNG, f"no end within {session.limit(limits)} s"
    if code is not None:
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"the process ended with code {code}"
        words = _last_words(_text(log, session.output))
        observed, error = Observed.CRASHED, f"{how}: {words}" if words else how
    values = session.values.get(name, {})
    return Observation(name=name, observed=observed, error=error, values=values)


def _text(path: Path, offset: int = 0) -> str:
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(offset, end - MOST_OUTPUT))
        return file.read(MOST_OUTPUT).decode("utf-8", "replace")


def _last_words(output: str) -> str:
    """Return the line with the cause: a failed check, else the last one before Python's own traceback."""
    lines = [line.strip() for line in output.partition("Fatal Python error")[0].splitlines() if line.strip()]
    return next((line for line in lines if _LAST_WORDS.search(line)), lines[-1] if lines else "")
