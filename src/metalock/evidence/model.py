"""What was observed in an environment, held against the contract, as `smoke.json` beside its lock."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from metalock.errors import ToolError
from metalock.evidence.contract import Capability, Expectation, Expected, Situation, contract, situation_of
from metalock.lock.model import Lock

SMOKE_FILE = "smoke.json"
SCHEMA = 1


class Observed(StrEnum):
    """How a test ended."""

    PASSED = "passed"
    RAISED = "raised"
    WRONG = "wrong"
    """It ran, and did something else than it should."""
    CRASHED = "crashed"
    """It took its process along."""
    HUNG = "hung"
    SKIPPED = "skipped"


class Outcome(StrEnum):
    """What that means, held against the contract."""

    WORKS = "works"
    UNSUPPORTED = "unsupported"
    BROKEN = "broken"
    UNEXPECTED = "unexpected"
    """The contract says otherwise: it, or the environment, is wrong."""
    NOT_VERIFIED = "not verified here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What became of one capability."""

    name: str
    """The capability's key."""
    observed: Observed
    error: str = ""
    """The exception, the signal, or why it was skipped."""
    values: Mapping[str, object] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """An observation, with what was expected."""

    capability: Capability
    expectation: Expectation
    observation: Observation

    @property
    def outcome(self) -> Outcome:
        observed, error = self.observation.observed, self.observation.error
        if observed is Observed.SKIPPED:
            return Outcome.NOT_VERIFIED
        if self.expectation.outcome is Expected.WORKS:
            return Outcome.WORKS if observed is Observed.PASSED else Outcome.UNEXPECTED
        as_said = observed is not Observed.PASSED and self.expectation.error in error
        return Outcome(self.expectation.outcome) if as_said else Outcome.UNEXPECTED

    @property
    def is_surprise(self) -> bool:
        return self.outcome is Outcome.UNEXPECTED

    @property
    def surprise(self) -> str:
        """What was expected and what was observed, in a line."""
        wanted = str(self.expectation.outcome)
        if self.expectation.error:
            wanted += f" ({self.expectation.error})"
        found = str(self.observation.observed)
        if self.observation.error:
            found += f" ({self.observation.error.splitlines()[0]})"
        return f"expected: {wanted}; observed: {found}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One run of the suite in one environment."""

    lock: str
    """The digest of the lock that the environment was built from."""
    date: str
    """ISO 8601, the day alone."""
    backend: str
    """Who installed Python: `conda`, or `venv` for an interpreter that was there."""
    host: Mapping[str, object]
    observations: tuple[Observation, ...]
    faults: tuple[str, ...] = ()
    """What this machine lacked for the time being, so that the run is no evidence; never written."""

    @property
    def gpus(self) -> Sequence[str]:
        """The names of the GPUs that TensorFlow saw."""
        found = self.host.get("gpus")
        return [str(name) for name in found] if isinstance(found, list) else []

    def results(self, lock: Lock) -> list[Result]:
        """Every observation that the contract still knows, in the contract's order."""
        return judge(self.observations, situation_of(lock, self.host))


def require_recordable(evidence: Evidence) -> None:
    """Raise `ToolError` for a run that says more of the moment than of the environment."""
    if evidence.faults:
        raise ToolError(
            f"not recorded, since not all could be tried: {evidence.faults[0]}",
            hint="Fix that and run the command again: what was built and downloaded is kept in the caches.",
        )


def judge(observations: Iterable[Observation], situation: Situation) -> list[Result]:
    """Hold what was observed against the contract, in the contract's order."""
    by_name = {observation.name: observation for observation in observations}
    return [
        Result(
            capability=capability,
            expectation=capability.expected(situation),
            observation=by_name[capability.key],
        )
        for capability in contract()
        if capability.key in by_name
    ]


def counts_of(results: Iterable[Result]) -> dict[Outcome, int]:
    """How many results of each outcome, those that there are."""
    outcomes = [result.outcome for result in results]
    return {outcome: outcomes.count(outcome) for outcome in Outcome if outcome in outcomes}


def evidence_text(evidence: Evidence, lock: Lock) -> str:
    """JSON, a capability a line; `expected` and `outcome` are for readers, and made anew when it is read."""
    results = evidence.results(lock)
    head = {
        "schema": SCHEMA,
        "lock": evidence.lock,
        "date": evidence.date,
        "backend": evidence.backend,
        "host": dict(evidence.host),
        "counts": {str(outcome): count for outcome, count in counts_of(results).items()},
    }
    lines = ",\n".join("  " + json.dumps(_table(result), ensure_ascii=False) for result in results)
    text = json.dumps(head, indent=1, ensure_ascii=False).removesuffix("\n}")
    return f'{text},\n "capabilities": [\n{lines}\n ]\n}}\n'


def _table(result: Result) -> dict[str, object]:
    observation = result.observation
    return {
        "name": observation.name,
        "outcome": str(result.outcome),
        "expected": str(result.expectation.outcome),
        "observed": str(observation.observed),
        "error": observation.error,
        "values": dict(observation.values),
        "seconds": round(observation.seconds, 2),
    }


def parse_evidence(data: bytes) -> Evidence | None:
    """The evidence, or None for what is none of this schema: the suite is then run again."""
    try:
        table = json.loads(data.decode())
        if table["schema"] != SCHEMA:
            return None
        return Evidence(
            lock=str(table["lock"]),
            date=str(table["date"]),
            backend=str(table["backend"]),
            host=dict(table["host"]),
            observations=tuple(_observation(item) for item in table["capabilities"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _observation(item: dict[str, Any]) -> Observation:
    return Observation(
        name=str(item["name"]),
        observed=Observed(item["observed"]),
        error=str(item["error"]),
        values=dict(item["values"]),
        seconds=float(item["seconds"]),
    )
