"""What the processes of the suite are given: an interpreter, variables, servers, nothing of this machine."""

from __future__ import annotations

import json
import re
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from metalock.adapters.proc import run
from metalock.adapters.settings import Settings
from metalock.errors import ToolError
from metalock.evidence.contract import Capability, situation_of
from metalock.evidence.model import Observation
from metalock.lock.model import Lock
from metalock.matrix.model import Cell
from metalock.parsing import as_table, parse_json
from metalock.smoke.bytecode import pycache_of, share_bytecode
from metalock.smoke.process import ProcessSetup
from metalock.smoke.pytest_folder import suite_tools
from metalock.smoke.scenarios import make_scenario
from metalock.smoke.services import service

HEAD, TAIL = 700, 700
"""Characters of an error that are kept: Keras wraps the cause between a long beginning and a long end."""
_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeRequest:
    """An environment, and what to try in it."""

    cell: Cell
    lock: Lock
    prefix: Path
    python: Path
    """The interpreter in the prefix."""
    backend: str
    date: str
    settings: Settings
    only: tuple[str, ...] = ()
    """Areas or names; empty for the whole contract."""
    interrupted: Callable[[], bool] = bool
    """Whether to break off; asked often."""
    side_by_side: bool = True
    """Two processes at a time: shorter, and what is measured is disturbed."""


def make_place(request: SmokeRequest, scratch: Path) -> ProcessSetup:
    """Where the suite runs, all that it writes going below `scratch`."""
    (scratch / "home").mkdir()
    environment = {
        "PATH": f"{request.python.parent}:/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": str(scratch / "home"),
        "TMPDIR": str(scratch),
        "LANG": "C.UTF-8",
        "PYTHONNOUSERSITE": "1",
        "PYTHONPYCACHEPREFIX": str(pycache_of(scratch)),  # the prefix stays as it is
        "PYTHONFAULTHANDLER": "1",
        "METALOCK_LOCKED": json.dumps(situation_of(request.lock).versions),
        **request.cell.variables,
    }
    suite = Path(str(resources.files("metalock.smoke") / "suite"))
    return ProcessSetup(
        python=request.python,
        driver=suite / "driver.py",
        tools=suite_tools(request.settings.cache, request.settings.index_url),
        scratch=scratch,
        environment=environment,
        interrupted=request.interrupted,
    )


@contextmanager
def equipped(
    capability: Capability, place: ProcessSetup, second_installs: SecondInstalls
) -> Iterator[ProcessSetup]:
    """The place with what this capability asks for: variables, a server, a prefix of its own.

    Raises a `MetalockError` for what can't be had on this machine.
    """
    place = replace(place, environment={**place.environment, **capability.env})
    with ExitStack() as stack:
        if capability.scenario:
            stack.callback(second_installs.remove, capability.scenario)
            place = replace(place, python=second_installs.python(capability.scenario))
        if capability.service:
            served = service(capability.service, Path(sys.executable), place.scratch)
            place = replace(place, environment={**place.environment, **stack.enter_context(served)})
        yield place


class SecondInstalls:
    """The prefixes in which something was installed on top of the lock, each there until it is removed."""

    def __init__(self, request: SmokeRequest, scratch: Path) -> None:
        self._request = request
        self._folder = scratch / "scenarios"
        self._pycache = pycache_of(scratch)
        self._made: dict[str, Path] = {}
        self._making = threading.Lock()

    def make(self, scenario: str) -> Path:
        """Its interpreter; raise a `MetalockError` for what can't be had on this machine."""
        with self._making:
            if scenario not in self._made:
                self._folder.mkdir(exist_ok=True)
                self._made[scenario] = make_scenario(
                    self._request.lock,
                    self._request.python,
                    scenario,
                    self._folder,
                    exclude_newer=self._request.cell.exclude_newer,
                    settings=self._request.settings,
                )
            return self._made[scenario]

    def python(self, scenario: str) -> Path:
        """The same, with the bytecode that was compiled up to now."""
        python = self.make(scenario)
        share_bytecode(self._request.prefix, self._folder / scenario, self._pycache)
        return python

    def remove(self, scenario: str) -> None:
        """Beside other capabilities, since its files are as many as the environment's."""
        with self._making:
            self._made.pop(scenario, None)
        prefix = self._folder / scenario
        for folder in (prefix, self._pycache / prefix.relative_to("/")):
            shutil.rmtree(folder, ignore_errors=True)


def host_facts(place: ProcessSetup) -> dict[str, object]:
    """What this machine and the interpreter are; raise `ToolError` if it doesn't run."""
    script = place.driver.with_name("host.py")
    done = run([place.python, script], env=place.environment, cwd=place.scratch, timeout=60)
    if done.code:
        raise ToolError(f"{place.python} does not run: {done.stderr.strip() or done.code}")
    try:
        return as_table(parse_json(done.stdout))
    except ValueError as error:
        raise ToolError(f"{place.python} did not describe this machine: {error}") from None


def without_paths(observation: Observation, place: ProcessSetup, prefix: Path, base: str) -> Observation:
    """The same with nothing of this machine in its error; `base`: where the interpreter's own files lie."""
    error = observation.error
    names = {
        str(place.scratch): "<scratch>",
        str(place.driver.parent): "<suite>",
        str(place.tools): "<tools>",
        str(prefix.absolute()): "<prefix>",
        str(prefix.resolve()): "<prefix>",
        base: "<python>",
    }
    for folder, name in names.items():
        error = error.replace(folder, name)
    return replace(observation, error=_shortened(_ADDRESS.sub("0x…", error)))


def _shortened(text: str) -> str:
    return text if len(text) <= HEAD + TAIL else f"{text[:HEAD]} … {text[-TAIL:]}"
