"""What was observed in an environment, compared with the contract."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from metalock.errors import ToolError
from metalock.evidence.contract import Capability, Expectation, Expected, Situation, contract, situation_of
from metalock.lock.model import Lock

SMOKE_FILE = "smoke.json"


class Observed(StrEnum):
    """How a test ended."""

    PASSED = "passed"
    RAISED = "raised"
    WRONG = "wrong"
    """It ran and gave a wrong result."""
    CRASHED = "crashed"
    """It ended its process."""
    HUNG = "hung"
    SKIPPED = "skipped"


class Outcome(StrEnum):
    """What an observation means, compared with the contract."""

    WORKS = "works"
    UNSUPPORTED = "unsupported"
    BROKEN = "broken"
    UNEXPECTED = "unexpected"
    """The contract says otherwise: the contract or the environment is wrong."""
    NOT_VERIFIED = "not verified here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """How the test of one capability ended."""

    name: str
    """The capability's key."""
    observed: Observed
    error: str = ""
    """The exception, the signal, or why it was skipped."""
    values: Mapping[str, object] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """An observation with what was expected."""

    capability: Capability
    expectation: Expectation
    observation: Observation

    @property
    def outcome(self) -> Outcome:
        """Return what the observation means."""
        observed, error = self.observation.observed, self.observation.error
        if observed is Observed.SKIPPED:
            return Outcome.NOT_VERIFIED
        if self.expectation.outcome is Expected.WORKS:
            return Outcome.WORKS if observed is Observed.PASSED else Outcome.UNEXPECTED
        as_said = observed is not Observed.PASSED and self.expectation.error in error
        return Outcome(self.expectation.outcome) if as_said else Outcome.UNEXPECTED

    @property
    def is_surprise(self) -> bool:
        """Return whether the contract says otherwise."""
        return self.outcome is Outcome.UNEXPECTED

    @property
    def surprise(self) -> str:
        """Return what was expected and what was observed, in one line."""
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
    """What installed Python: `conda`, or `venv` for an interpreter of the machine."""
    host: Mapping[str, object]
    observations: tuple[Observation, ...]
    faults: tuple[str, ...] = ()
    """Failures of the machine or a server during the run, which make it unfit as evidence; never written."""

    @property
    def gpus(self) -> Sequence[str]:
        """Return the names of the GPUs that TensorFlow listed."""
        found = self.host.get("gpus")
        return [str(name) for name in found] if isinstance(found, list) else []

    @property
    def machine(self) -> str:
        """Return the machine in words: system, processor, GPUs; nothing in the evidence names it."""
        system, processor = (str(self.host.get(key, "")) for key in ("system", "cpu"))
        parts = [system or "a machine", processor, *(f"GPU {name}" for name in self.gpus)]
        if self.host.get("translated"):
            parts.append("Rosetta")
        return ", ".join(part for part in parts if part)

    def results(self, lock: Lock) -> list[Result]:
        """Return the results of the capabilities that the contract still has, in the contract's order."""
        return judge(self.observations, situation_of(lock, self.host))


def require_recordable(evidence: Evidence) -> None:
    """Raise `ToolError` if some capabilities could not be tried because of the machine or a server."""
    if evidence.faults:
        raise ToolError(
            f"result not saved: some capabilities could not be tried: {evidence.faults[0]}",
            hint="Fix that and run the command again: what was built and downloaded is kept in the caches.",
        )


def judge(observations: Iterable[Observation], situation: Situation) -> list[Result]:
    """Compare what was observed with the contract, and return the results in the contract's order."""
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
    """Return the number of results of each outcome that occurs."""
    outcomes = [result.outcome for result in results]
    return {outcome: outcomes.count(outcome) for outcome in Outcome if outcome in outcomes}
