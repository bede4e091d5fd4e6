"""What an observation means, and `smoke.json`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from samples import host_of

from metalock.evidence.contract import WORKS, Capability, Expectation, Expected
from metalock.evidence.model import (
    Evidence,
    Observation,
    Observed,
    Outcome,
    Result,
    counts_of,
    judge,
)
from metalock.evidence.text import evidence_text, parse_evidence
from metalock.lock.model import Lock, lock_digest
from metalock.lock.text import parse_lock
from metalock.platforms import Platform
from metalock.smoke.run import groups_of

LOCK_FILE = Path(__file__).parents[2] / "envs" / "linux-64" / "tf2.18-py3.11" / "lock.json"
CAPABILITY = Capability(name="a.b", area="a", question="q", claim="c", env={})
GONE = Expectation(when={}, outcome=Expected.UNSUPPORTED, error="No module named 'x'", instead="y")
BAD = Expectation(when={}, outcome=Expected.BROKEN, error="killed by SIGABRT", source="s#1")


@pytest.fixture(scope="module")
def lock() -> Lock:
    return parse_lock(LOCK_FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("expectation", "observed", "error", "outcome"),
    [
        (WORKS, Observed.PASSED, "", Outcome.WORKS),
        (WORKS, Observed.RAISED, "ValueError: no", Outcome.UNEXPECTED),
        (WORKS, Observed.HUNG, "no end within 60 s", Outcome.UNEXPECTED),
        (WORKS, Observed.SKIPPED, "no GPU", Outcome.NOT_VERIFIED),
        (GONE, Observed.RAISED, "ModuleNotFoundError: No module named 'x'", Outcome.UNSUPPORTED),
        (GONE, Observed.RAISED, "ModuleNotFoundError: No module named 'z'", Outcome.UNEXPECTED),
        (GONE, Observed.PASSED, "", Outcome.UNEXPECTED),
        (GONE, Observed.SKIPPED, "no server", Outcome.NOT_VERIFIED),
        (BAD, Observed.CRASHED, "killed by SIGABRT: Check failed", Outcome.BROKEN),
        (BAD, Observed.CRASHED, "killed by SIGSEGV", Outcome.UNEXPECTED),
        (BAD, Observed.PASSED, "", Outcome.UNEXPECTED),
    ],
)
def test_outcome(expectation: Expectation, observed: Observed, error: str, outcome: Outcome) -> None:
    observation = Observation(name="a.b", observed=observed, error=error)
    result = Result(capability=CAPABILITY, expectation=expectation, observation=observation)
    assert result.outcome is outcome
    assert result.is_surprise is (outcome is Outcome.UNEXPECTED)


def test_a_surprise_says_both_sides() -> None:
    observation = Observation(name="a.b", observed=Observed.RAISED, error="ValueError: no\nand more")
    result = Result(capability=CAPABILITY, expectation=BAD, observation=observation)
    assert result.surprise == "expected: broken (killed by SIGABRT); observed: raised (ValueError: no)"


def evidence(lock: Lock) -> Evidence:
    values = {"numpy": "2.0.2", "images_per_second": 12.5}
    return Evidence(
        lock=lock_digest(lock),
        date="2026-11-20",
        backend="venv",
        host={**host_of(Platform.LINUX_64), "gpus": ["Apple M1"]},
        observations=(
            Observation(name="environment.versions", observed=Observed.PASSED, values=values, seconds=0.5),
            Observation(
                name="environment.import", observed=Observed.RAISED, error="ImportError: ü", seconds=2.0
            ),
        ),
    )


def test_text_comes_back_in_the_contracts_order(lock: Lock) -> None:
    before = evidence(lock)
    text = evidence_text(before, lock)
    after = parse_evidence(text.encode(), lock.platform)
    assert after.observations == before.observations[::-1]
    assert (after.host, after.gpus) == (before.host, ["Apple M1"])
    assert evidence_text(after, lock) == text
    assert json.loads(text)["counts"] == {"works": 1, "unexpected": 1}


def test_what_the_contract_no_longer_knows_is_left_out(lock: Lock) -> None:
    strange = Observation(name="no.such", observed=Observed.PASSED)
    found = Evidence(lock="d", date="2026-11-20", backend="venv", host={}, observations=(strange,))
    assert found.results(lock) == []
    assert counts_of(found.results(lock)) == {}


def test_groups_share_a_process_where_they_can() -> None:
    def capability(name: str, **fields: object) -> Capability:
        return Capability(**{"name": name, "area": "a", "question": "q", "claim": "c", "env": {}, **fields})  # type: ignore[arg-type]

    legacy = {"TF_USE_LEGACY_KERAS": "1"}
    groups = groups_of(
        [
            capability("a.one"),
            capability("a.apart", process="apart"),
            capability("a.legacy", env=legacy),
            capability("a.two"),
            capability("a.alone", process="alone"),
            capability("a.legacy-too", env=legacy),
            capability("a.s3", service="s3"),
            capability("a.pandas", scenario="pandas"),
            capability("a.apart-too", process="apart"),
        ]
    )
    assert [[c.name.removeprefix("a.") for c in group] for group in groups] == [
        ["one", "two"],
        ["apart", "apart-too"],
        ["legacy", "legacy-too"],
        ["alone"],
        ["s3"],
        ["pandas"],
    ]


def test_judging_takes_what_was_observed_only(lock: Lock) -> None:
    from metalock.evidence.contract import situation_of

    found = judge(evidence(lock).observations, situation_of(lock))
    assert [result.capability.name for result in found] == ["environment.import", "environment.versions"]
