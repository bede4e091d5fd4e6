"""Run the suite in a prefix: which capabilities share a process, and what the processes are given."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path

from metalock.adapters.proc import run
from metalock.errors import NothingSelectedError, ToolError
from metalock.lock.model import Lock
from metalock.lock.text import lock_digest
from metalock.progress import Reporter
from metalock.smoke.contract import Capability, contract, situation_of
from metalock.smoke.evidence import Evidence, Observation, Result, judge
from metalock.smoke.group import Place, try_together
from metalock.smoke.tools import suite_tools

ERROR_LENGTH = 1000
"""Characters of an error that are kept."""
_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeRequest:
    """An environment, and what to try in it."""

    lock: Lock
    prefix: Path
    python: Path
    """The interpreter in the prefix."""
    backend: str
    date: str
    index_url: str | None
    cache: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    """Those of the matrix, which activation would set."""
    only: tuple[str, ...] = ()
    """Areas or names; empty for the whole contract."""
    interrupted: Callable[[], bool] = bool
    """Whether to break off; asked often."""


def run_suite(request: SmokeRequest, reporter: Reporter) -> Evidence:
    """Try every capability that applies; nothing is written into the prefix.

    Raises `NothingSelectedError` if none applies, `ToolError` if the suite can't run there.
    """
    capabilities = select_capabilities(request)
    situation = situation_of(request.lock)
    observations: list[Observation] = []
    with tempfile.TemporaryDirectory(prefix="metalock-smoke-") as name:
        scratch = Path(name).resolve()
        place = _place(request, scratch)
        host = _host(place)

        def told(observation: Observation) -> None:
            observation = _without_paths(observation, place, request.prefix)
            observations.append(observation)
            (result,) = judge([observation], situation)
            reporter.advance(observation.name, outcome_line(result))

        reporter.start(f"{request.prefix.name}: capabilities", len(capabilities))
        try:
            gpus = _run_groups(capabilities, place, told)
        finally:
            reporter.finish()
    return Evidence(
        lock=lock_digest(request.lock),
        date=request.date,
        backend=request.backend,
        host={**host, "gpus": gpus},
        observations=tuple(observations),
    )


def select_capabilities(request: SmokeRequest) -> list[Capability]:
    """What applies to the lock and was asked for."""
    situation = situation_of(request.lock)
    chosen = [
        capability
        for capability in contract()
        if capability.applies(situation)
        and (not request.only or {capability.area, capability.name, capability.key} & set(request.only))
    ]
    if not chosen:
        raise NothingSelectedError(f"no capability of that name applies: {', '.join(request.only)}")
    return chosen


def outcome_line(result: Result) -> str:
    """An outcome, with what was expected where that is something else."""
    observation = result.observation
    seconds = f" ({observation.seconds:.1f} s)" if observation.seconds >= 1 else ""
    if result.is_surprise:
        return f"{result.outcome}: {result.surprise}{seconds}"
    return f"{result.outcome}{seconds}"


def groups_of(capabilities: Iterable[Capability]) -> list[list[Capability]]:
    """Those that can share a process, in the order that they were written."""
    groups: dict[tuple[object, ...], list[Capability]] = {}
    for capability in capabilities:
        key = (
            capability.key if capability.alone else "",
            *sorted(capability.env.items()),
            capability.service,
            capability.scenario,
        )
        groups.setdefault(key, []).append(capability)
    return list(groups.values())


def _run_groups(
    capabilities: Sequence[Capability], place: Place, told: Callable[[Observation], None]
) -> list[str]:
    gpus: list[str] = []
    for group in groups_of(capabilities):
        found = try_together(group, replace(place, environment={**place.environment, **group[0].env}), told)
        gpus = found or gpus
    return gpus


def _place(request: SmokeRequest, scratch: Path) -> Place:
    versions = situation_of(request.lock).versions
    (scratch / "home").mkdir()
    environment = {
        "PATH": f"{request.python.parent}:/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": str(scratch / "home"),
        "TMPDIR": str(scratch),
        "LANG": "C.UTF-8",
        "PYTHONNOUSERSITE": "1",
        "PYTHONPYCACHEPREFIX": str(scratch / "pycache"),  # the prefix stays as it is
        "PYTHONFAULTHANDLER": "1",
        "METALOCK_LOCKED": json.dumps(versions),
        **request.variables,
    }
    suite = Path(str(resources.files("metalock.smoke") / "suite"))
    tools = suite_tools(request.cache, request.index_url)
    return Place(
        python=request.python,
        driver=suite / "driver.py",
        tools=tools,
        scratch=scratch,
        environment=environment,
        interrupted=request.interrupted,
    )


def _host(place: Place) -> dict[str, object]:
    script = place.driver.with_name("host.py")
    done = run([place.python, script], env=place.environment, cwd=place.scratch, timeout=60)
    if done.code:
        raise ToolError(f"{place.python} does not run: {done.stderr.strip() or done.code}")
    found: dict[str, object] = json.loads(done.stdout)
    return found


def _without_paths(observation: Observation, place: Place, prefix: Path) -> Observation:
    """The same with nothing of this machine in its error."""
    error = observation.error
    for folder, name in _names(place, prefix):
        error = error.replace(folder, name)
    return replace(observation, error=_ADDRESS.sub("0x…", error)[:ERROR_LENGTH])


def _names(place: Place, prefix: Path) -> Iterator[tuple[str, str]]:
    yield str(place.scratch), "<scratch>"
    yield str(place.driver.parent), "<suite>"
    yield str(place.tools), "<tools>"
    yield from {str(prefix): "<prefix>", str(prefix.resolve()): "<prefix>"}.items()
