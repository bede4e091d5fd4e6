"""evidence: what counts where the contract says nothing."""

from __future__ import annotations

from metalock.evidence.contract import WORKS, parse_contract
from metalock.evidence.model import Observation, Observed, Outcome, Result

MINIMAL = '[[capability]]\nname = "a.b"\nquestion = "q?"\nclaim = "c"\n'


def test_defaults_of_a_capability() -> None:
    (capability,) = parse_contract(MINIMAL, "area")
    assert (capability.seconds, capability.process, capability.service, capability.scenario) == (
        60,
        "",
        "",
        "",
    )
    assert (capability.device, dict(capability.env), capability.needs) == (None, {}, ())
    assert (capability.key, capability.area, capability.expectations) == ("a.b", "area", ())
    assert (WORKS.error, WORKS.instead, WORKS.source, WORKS.why) == ("", "", "", "")


def test_a_surprise_in_words() -> None:
    (capability,) = parse_contract(MINIMAL, "area")
    observation = Observation(name="a.b", observed=Observed.RAISED, error="ValueError: x\nmore")
    result = Result(capability=capability, expectation=WORKS, observation=observation)
    assert (result.outcome, result.is_surprise) == (Outcome.UNEXPECTED, True)
    assert result.surprise == "expected: works; observed: raised (ValueError: x)"
