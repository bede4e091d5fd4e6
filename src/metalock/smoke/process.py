"""Capabilities in one process: what becomes of each, also if it takes the process along."""

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
"""Time limit for Python and pytest to come up, and again for TensorFlow."""
POLL_SECONDS = 0.05
TAIL = 3000
"""Characters of the output that an error repeats."""
MOST_OUTPUT = 8 << 20
"""Bytes at the end of a test's output that are searched for its cause."""
END_SECONDS = 30
"""Time limit for the interpreter to end once its last test did."""
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
    """What the events of one process have told so far."""

    since: float
    """When the process, or the present test, began, or the last one ended."""
    running: str | None = None
    output: int = 0
    """Where the output of the present test begins."""
    values: dict[str, dict[str, object]] = field(default_factory=dict)
    done: list[Observation] = field(default_factory=list)
    gpus: list[str] | None = None

    def take(self, event: dict[str, Any], now: float) -> Observation | None:
        """Note an event; what became of a test, if it tells of its end."""
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
        """Seconds that the present step may take; the first test of a process imports TensorFlow too."""
        if self.running is not None:
            return limits[self.running] + (0 if self.done else START_SECONDS)
        return END_SECONDS if self.done else START_SECONDS


def try_together(
    capabilities: Sequence[Capability],
    place: ProcessSetup,
    told: Callable[[Observation], None],
    clock: Callable[[], float] = time.monotonic,
) -> list[str] | None:
    """Try them one after another in a process, in a new one after a crash or a hang.

    `told` is given each observation as it comes. The names of the GPUs that TensorFlow saw come back, None
    if it never got so far. Raises `ToolError` with the output if the suite itself can't start.
    """
    remaining = list(capabilities)
    gpus: list[str] | None = None
    while remaining:
        session = _try_in_one_process(remaining, place, told, clock)
        done = {observation.name for observation in session.done}
        remaining = [capability for capability in remaining if capability.key not in done]
        gpus = session.gpus if session.gpus is not None else gpus
    return gpus


def _try_in_one_process(
    capabilities: Sequence[Capability],
    place: ProcessSetup,
    told: Callable[[Observation], None],
    clock: Callable[[], float],
) -> _Session:
    limits = {capability.key: capability.seconds for capability in capabilities}
    place.events.write_bytes(b"")
    place.log.write_bytes(b"")
    session = _Session(since=clock())
    with (
        started(place.command(limits), env=place.environment, cwd=place.scratch, log=place.log) as child,
        place.events.open("rb") as stream,
    ):
        unread = b""
        while True:
            code = child.code(POLL_SECONDS)
            if place.interrupted():
                raise KeyboardInterrupt
            *lines, unread = (unread + stream.read()).split(b"\n")
            for line in lines:
                ended = _take(session, line, clock())
                if ended is not None:
                    told(ended)
            if code is not None or clock() - session.since > session.limit(limits):
                break
    last = _cut_short(session, code, limits, place.log)
    if last is not None:
        session.done.append(last)
        told(last)
    if not session.done:
        raise ToolError(f"the smoke suite can't start in this environment:\n{_text(place.log)[-TAIL:]}")
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
    """What became of the test that never ended."""
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
    """The line that says why: a failed check, else the last one before Python's own traceback."""
    lines = [line.strip() for line in output.partition("Fatal Python error")[0].splitlines() if line.strip()]
    return next((line for line in lines if _LAST_WORDS.search(line)), lines[-1] if lines else "")
