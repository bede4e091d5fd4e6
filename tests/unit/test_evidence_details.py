"""evidence: what counts where the contract says nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from metalock.errors import DataFileError
from metalock.evidence.contract import _EXPECT_TEXTS, WORKS, Capability, Situation, parse_contract
from metalock.evidence.model import Evidence, Observation, Observed, Outcome, Result
from metalock.evidence.store import Trial
from metalock.platforms import Platform

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


def situation(**versions: str) -> Situation:
    return Situation(platform=Platform.LINUX_64, python="3.11.9", versions=versions)


def faults_of(text: str) -> tuple[str, ...]:
    with pytest.raises(DataFileError) as caught:
        parse_contract(text, "area")
    return caught.value.faults


def test_a_capability_applies_where_the_lock_has_all_that_it_needs() -> None:
    (capability,) = parse_contract(MINIMAL + 'needs = ["a", "b"]\n', "area")
    assert capability.applies(situation(a="1", b="1", c="1"))
    assert not capability.applies(situation(a="1", c="1"))


def test_a_fault_is_shown_with_its_whole_path() -> None:
    assert faults_of("other = 1\n" + MINIMAL) == ("other: unknown key; expected one of capability, process",)
    assert faults_of(MINIMAL + "need = []\n") == (
        'capability."a.b".need: unknown key; did you mean "needs"?',
    )
    assert faults_of(MINIMAL + 'needs = "a"\n') == (
        'capability."a.b".needs: expected an array, found the string "a"',
    )
    expect = '[[capability.expect]]\noutcome = "works"\nwhy_not = "x"\nwhen = { keras = "three" }\n'
    assert faults_of(MINIMAL + expect) == (
        f'capability."a.b".expect[0].why_not: unknown key; expected one of when, {", ".join(_EXPECT_TEXTS)}',
        "capability.\"a.b\".expect[0].when.keras: expected a version specifier or 'absent', found 'three'",
    )


def test_a_capability_made_without_options() -> None:
    capability = Capability(name="a.b", area="a", question="q?", claim="c", env={})
    (parsed,) = parse_contract(MINIMAL, "a")
    assert replace(parsed, question="q?") == capability


def test_a_trial_as_json() -> None:
    host = {"system": "Linux 6", "cpu": "x"}
    evidence = Evidence(lock="d", date="2026-11-20", backend="venv", host=host, observations=())
    counts = {Outcome.WORKS: 3, Outcome.UNEXPECTED: 1}
    trial = Trial(platform=Platform.LINUX_64, evidence=evidence, counts=counts, untried=2)
    assert trial.to_dict() == {
        "words": "1 unexpected on Linux (venv), 2026-11-20",
        "date": "2026-11-20",
        "backend": "venv",
        "host": host,
        "counts": {"works": 3, "unexpected": 1},
        "untried": 2,
    }
    assert Trial(platform=Platform.LINUX_64).to_dict() == {"words": "not tried"}
