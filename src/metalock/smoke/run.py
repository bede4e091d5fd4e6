"""A run of the suite in a prefix: which capabilities apply, and which share a process."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from metalock.adapters.uv import DISK_FULL
from metalock.errors import NothingSelectedError
from metalock.evidence.contract import Capability, contract, situation_of
from metalock.evidence.model import Evidence, Observation, Result, judge
from metalock.evidence.text import clean_host, clean_observation
from metalock.lock.model import lock_digest
from metalock.progress import Reporter
from metalock.smoke.schedule import Runs
from metalock.smoke.setup import SmokeRequest, host_facts, make_setup, without_paths


def run_suite(request: SmokeRequest, reporter: Reporter) -> Evidence:
    """Try every capability that applies, and return the evidence; nothing is written into the prefix.

    Raises `NothingSelectedError` if none applies, `ToolError` if the suite cannot run there.
    """
    capabilities = select_capabilities(request)
    observations: list[Observation] = []
    with tempfile.TemporaryDirectory(prefix="metalock-smoke-") as name:
        scratch = Path(name).resolve()
        setup = make_setup(request, scratch)
        host = host_facts(setup)
        base = str(host.pop("base"))
        situation = situation_of(request.lock, clean_host(host))

        def report(observation: Observation) -> None:
            observation = clean_observation(without_paths(observation, setup, request.prefix, base))
            observations.append(observation)
            (result,) = judge([observation], situation)
            reporter.advance(observation.name, outcome_line(result))

        reporter.start(f"{request.prefix.name}: capabilities", len(capabilities))
        runs = Runs(request, setup, report)
        try:
            gpus = runs.run(groups_of(capabilities))
        finally:
            reporter.finish()
    full = [observation.error for observation in observations if DISK_FULL.search(observation.error)]
    return Evidence(
        lock=lock_digest(request.lock),
        date=request.date,
        backend=request.backend,
        host=clean_host({**host, "gpus": gpus}),
        observations=tuple(observations),
        faults=(*runs.faults, *full),
    )


def select_capabilities(request: SmokeRequest) -> list[Capability]:
    """Return the capabilities that apply to the lock and were asked for."""
    situation = situation_of(request.lock)
    chosen = [
        capability
        for capability in contract()
        if capability.applies(situation)
        and (not request.only or {capability.area, capability.name, capability.key} & set(request.only))
    ]
    if not chosen:
        raise NothingSelectedError(
            f"no capability with that name applies to this lock: {', '.join(request.only)}",
            hint=f"Use an area: {', '.join(dict.fromkeys(capability.area for capability in contract()))}.",
        )
    return chosen


def outcome_line(result: Result) -> str:
    """Return the outcome as a line, with what was expected if it is unexpected."""
    observation = result.observation
    seconds = f" ({observation.seconds:.1f} s)" if observation.seconds >= 1 else ""
    if result.is_surprise:
        return f"{result.outcome}: {result.surprise}{seconds}"
    return f"{result.outcome}{seconds}"


def groups_of(capabilities: Iterable[Capability]) -> list[list[Capability]]:
    """Return the capabilities in groups that can share a process, in the order of the contract."""
    groups: dict[tuple[object, ...], list[Capability]] = {}
    for capability in capabilities:
        key = (
            capability.process,
            *sorted(capability.env.items()),
            capability.service,
            capability.scenario,
        )
        groups.setdefault(key, []).append(capability)
    return list(groups.values())
