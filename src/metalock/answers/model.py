"""What is known of a capability: by stack and Python, observed, or else expected by the contract."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from metalock.evidence.contract import Capability, Expectation, Expected, Situation
from metalock.evidence.model import Evidence, Outcome, Result
from metalock.evidence.store import GPU
from metalock.platforms import Platform, parse_release


class State(StrEnum):
    """What is known of a capability in one environment."""

    WORKS = "✔"
    UNSUPPORTED = "unsupported"
    BROKEN = "broken"
    UNEXPECTED = "unexpected"
    EXPECTED_UNSUPPORTED = "*unsupported*"
    """Not tried; the contract says so."""
    EXPECTED_BROKEN = "*broken*"
    SKIPPED = "not verified"
    UNTRIED = "not tried"

    @property
    def is_tried(self) -> bool:
        return self in _OF_OUTCOME.values()


_OF_OUTCOME = {
    Outcome.WORKS: State.WORKS,
    Outcome.UNSUPPORTED: State.UNSUPPORTED,
    Outcome.BROKEN: State.BROKEN,
    Outcome.UNEXPECTED: State.UNEXPECTED,
}
_EXPECTED = {Expected.UNSUPPORTED: State.EXPECTED_UNSUPPORTED, Expected.BROKEN: State.EXPECTED_BROKEN}


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedEnvironment:
    """One environment, and what was observed in it."""

    stack: str
    python: str
    platform: Platform
    situation: Situation
    evidence: Evidence | None = None
    results: Mapping[str, Result]
    """By the capability's key; none without evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What is known of one capability in one environment."""

    state: State
    expectation: Expectation
    error: str = ""
    """As observed, else as expected; the reason if it was skipped."""

    @property
    def key(self) -> tuple[str, ...]:
        """Return a key that is equal if one sentence describes both."""
        if self.state is State.UNEXPECTED:
            return (self.state, self.error)
        if self.state in (State.WORKS, State.SKIPPED, State.UNTRIED):
            return (self.state,)
        e = self.expectation
        return (self.state, e.error, e.instead, e.source, e.why)


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """A capability on one platform, through the versions."""

    capability: Capability
    platform: Platform
    stacks: Mapping[str, Mapping[str, Said]]
    """Oldest stack first, and by Python; only where the capability applies."""

    @property
    def all(self) -> list[Said]:
        return [said for pythons in self.stacks.values() for said in pythons.values()]

    @property
    def is_tried(self) -> bool:
        return any(said.state.is_tried for said in self.all)

    @property
    def is_plain(self) -> bool:
        """Return whether it works wherever it was tried, and nothing else is expected anywhere."""
        return all(said.state in (State.WORKS, State.SKIPPED, State.UNTRIED) for said in self.all)


def track_of(capability: Capability, platform: Platform, places: Iterable[TriedEnvironment]) -> Track:
    """Return what is known of the capability in the environments of the platform, oldest stack first."""
    stacks: dict[str, dict[str, Said]] = {}
    for place in places:
        if place.platform is platform and _can_be_tried(capability, place):
            stacks.setdefault(place.stack, {})[place.python] = _said(capability, place)
    ordered = {
        stack: dict(sorted(pythons.items(), key=lambda item: parse_release(item[0])))
        for stack, pythons in stacks.items()
    }
    return Track(capability=capability, platform=platform, stacks=ordered)


def _can_be_tried(capability: Capability, place: TriedEnvironment) -> bool:
    """Return whether it applies; on a Mac's GPU, none does without the plugin that supports the GPU."""
    without_gpu = place.platform.is_macos and "tensorflow-metal" not in place.situation.versions
    return capability.applies(place.situation) and not (capability.device == GPU and without_gpu)


def _said(capability: Capability, place: TriedEnvironment) -> Said:
    result = place.results.get(capability.key)
    expectation = capability.expected(place.situation)
    if result is not None and result.outcome in _OF_OUTCOME:
        error = result.surprise if result.is_surprise else result.observation.error
        return Said(state=_OF_OUTCOME[result.outcome], expectation=expectation, error=error)
    if expectation.outcome in _EXPECTED:
        return Said(state=_EXPECTED[expectation.outcome], expectation=expectation, error=expectation.error)
    if result is not None:
        return Said(state=State.SKIPPED, expectation=expectation, error=result.observation.error)
    return Said(state=State.UNTRIED, expectation=expectation)


def label(stack: str) -> str:
    """Return the name of the stack as people write it.

    >>> label("tf2.18"), label("mine")
    ('2.18', 'mine')
    """
    return re.sub(r"^tf(?=\d)", "", stack)


def span(names: Sequence[str], order: Sequence[str]) -> str:
    """Return `2.9 to 2.15`, `2.9` or `2.9 and 2.11`: ranges of neighbours in an order, oldest first.

    >>> span(["2.9", "2.11", "2.12"], ["2.9", "2.10", "2.11", "2.12"])
    '2.9 and 2.11 to 2.12'
    """
    runs: list[list[str]] = []
    for name in sorted(names, key=order.index):
        if runs and order.index(name) == order.index(runs[-1][-1]) + 1:
            runs[-1].append(name)
        else:
            runs.append([name])
    spans = [run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]
    return spans[0] if len(spans) == 1 else f"{', '.join(spans[:-1])} and {spans[-1]}"
