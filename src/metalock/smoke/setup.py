"""What the processes of the suite get: an interpreter, variables and servers, and nothing of this machine."""

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
"""Characters of an error that are kept: Keras puts the cause between a long beginning and a long end."""
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
    """Whether to stop; called often."""
    side_by_side: bool = True
    """Whether two processes run at a time: this takes less time, but disturbs measurements."""


def make_setup(request: SmokeRequest, scratch: Path) -> ProcessSetup:
    """Return the setup of a process whose files are all written below `scratch`."""
    (scratch / "home").mkdir()
    environment = {
        "PATH": f"{request.python.parent}:/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": str(scratch / "home"),
        "TMPDIR": str(scratch),
        "LANG": "C.UTF-8",
        "PYTHONNOUSERSITE": "1",
        "PYTHONPYCACHEPREFIX": str(pycache_of(scratch)),  # the prefix is not changed
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
    capability: Capability, setup: ProcessSetup, second_installs: SecondInstalls
) -> Iterator[ProcessSetup]:
    """Yield the setup with what this capability needs: variables, a server, a prefix of its own.

    Raises a `MetalockError` for what is not available on this machine.
    """
    setup = replace(setup, environment={**setup.environment, **capability.env})
    with ExitStack() as stack:
        if capability.scenario:
            stack.callback(second_installs.remove, capability.scenario)
            setup = replace(setup, python=second_installs.python(capability.scenario))
        if capability.service:
            served = service(capability.service, Path(sys.executable), setup.scratch)
            setup = replace(setup, environment={**setup.environment, **stack.enter_context(served)})
        yield setup


class SecondInstalls:
    """The prefixes with a second install on top of the lock, each there until it is removed."""

    def __init__(self, request: SmokeRequest, scratch: Path) -> None:
        self._request = request
        self._folder = scratch / "scenarios"
        self._pycache = pycache_of(scratch)
        self._made: dict[str, Path] = {}
        self._making = threading.Lock()

    def make(self, scenario: str) -> Path:
        """Make the prefix and return its interpreter; raise a `MetalockError` if that is not possible."""
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
        """Make the prefix, share the bytecode compiled so far, and return the interpreter."""
        python = self.make(scenario)
        share_bytecode(self._request.prefix, self._folder / scenario, self._pycache)
        return python

    def remove(self, scenario: str) -> None:
        """Remove the prefix while other capabilities run, since it has as many files as the environment."""
        with self._making:
            self._made.pop(scenario, None)
        prefix = self._folder / scenario
        for folder in (prefix, self._pycache / prefix.relative_to("/")):
            shutil.rmtree(folder, ignore_errors=True)


def host_facts(setup: ProcessSetup) -> dict[str, object]:
    """Return the facts of this machine and the interpreter; raise `ToolError` if it does not run."""
    script = setup.driver.with_name("host.py")
    done = run([setup.python, script], env=setup.environment, cwd=setup.scratch, timeout=60)
    if done.code:
        raise ToolError(f"{setup.python} does not run: {done.stderr.strip() or done.code}")
    try:
        return as_table(parse_json(done.stdout))
    except ValueError as error:
        raise ToolError(f"{setup.python} did not describe this machine: {error}") from None


def without_paths(observation: Observation, setup: ProcessSetup, prefix: Path, base: str) -> Observation:
    """Return the observation without paths of this machine; `base` is the interpreter's folder."""
    error = observation.error
    names = {
        str(setup.scratch): "<scratch>",
        str(setup.driver.parent): "<suite>",
        str(setup.tools): "<tools>",
        str(prefix.absolute()): "<prefix>",
        str(prefix.resolve()): "<prefix>",
        base: "<python>",
    }
    for folder, name in names.items():
        error = error.replace(folder, name)
    return replace(observation, error=_shortened(_ADDRESS.sub("0x…", error)))


def _shortened(text: str) -> str:
    return text if len(text) <= HEAD + TAIL else f"{text[:HEAD]} … {text[-TAIL:]}"
