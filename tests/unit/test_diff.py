"""diff: what a pull request's summary says of evidence."""

from __future__ import annotations

from pathlib import Path

import pytest
from samples import cell, host_of, lock_of, locked_workspace

from metalock.audit.result import AUDIT_FILE, audit_text, make_audit
from metalock.audit.rules import AuditRule
from metalock.evidence.model import SMOKE_FILE, Evidence, Observation, Observed
from metalock.evidence.text import evidence_text
from metalock.findings import Finding
from metalock.lock.model import lock_digest
from metalock.locking.diff import evidence_lines, evidence_now
from metalock.platforms import Platform

NAME = "linux-64/tf2.18-py3.11"
LOCK = lock_of(cell(NAME))
OTHER = lock_of(cell(NAME), pip={"tensorflow": "1", "six": "1"})
RUN = Evidence(
    lock=lock_digest(LOCK),
    date="2026-11-20",
    backend="venv",
    host={**host_of(Platform.LINUX_64), "cpu": "AMD EPYC", "gpus": ["A100"]},
    observations=(
        Observation(name="environment.import", observed=Observed.PASSED),
        Observation(name="environment.versions", observed=Observed.RAISED, error="ImportError"),
    ),
)
SMOKE = evidence_text(RUN, LOCK)
WHO = "Debian GNU/Linux 12 (bookworm), AMD EPYC, GPU A100 (venv), 2026-11-20"
COUNTS = "1 works, 1 unexpected"
LOCKS = {NAME: LOCK}


def lines(old: dict[str, str], new: dict[str, str], locks: object = LOCKS) -> list[str]:
    before, after = ({(NAME, file): text for file, text in found.items()} for found in (old, new))
    assert isinstance(locks, dict)
    return list(evidence_lines(before, after, locks))


def test_a_run_is_listed_with_its_machine_day_and_counts() -> None:
    assert lines({}, {SMOKE_FILE: SMOKE}) == [f"- evidence added: {NAME}/{SMOKE_FILE}: {WHO}: {COUNTS}"]
    older = SMOKE.replace("2026-11-20", "2026-11-19")
    assert lines({SMOKE_FILE: older}, {SMOKE_FILE: SMOKE}) == [
        f"- evidence changed: {NAME}/{SMOKE_FILE}: {WHO}: {COUNTS}"
    ]
    assert lines({SMOKE_FILE: SMOKE}, {}) == [f"- evidence removed: {NAME}/{SMOKE_FILE}"]
    assert lines({SMOKE_FILE: SMOKE}, {SMOKE_FILE: SMOKE}) == []


def test_counts_are_those_of_the_contract_and_not_of_the_file() -> None:
    claimed = SMOKE.replace('"outcome": "unexpected"', '"outcome": "works"')
    claimed = claimed.replace('"works": 1,\n  "unexpected": 1', '"works": 2')
    assert claimed.count('"works"') > SMOKE.count('"works"')
    assert lines({}, {SMOKE_FILE: claimed}) == [f"- evidence added: {NAME}/{SMOKE_FILE}: {WHO}: {COUNTS}"]


def test_evidence_about_another_lock_or_none() -> None:
    assert lines({}, {SMOKE_FILE: SMOKE}, {NAME: OTHER})[0].endswith(f": {COUNTS}; about another lock")
    assert lines({}, {SMOKE_FILE: SMOKE}, {})[0].endswith(": there is no valid lock that it could be about")


def test_an_audit_is_listed_with_its_verdict_and_counts() -> None:
    grave = Finding(rule=AuditRule.SYMBOL, package="a 1.0", where="a.so", detail="no")
    text = audit_text(make_audit(LOCK, wheels=1, binaries=7, findings=[grave]))
    expected = "fails, 1 wheels, 7 binaries, 1 errors, 0 warnings"
    assert lines({}, {AUDIT_FILE: text}) == [f"- evidence added: {NAME}/{AUDIT_FILE}: {expected}"]
    assert lines({}, {AUDIT_FILE: text}, {NAME: OTHER})[0].endswith(": fails; about another lock")
    wrong = audit_text(make_audit(LOCK, wheels=2, binaries=7, findings=[]))
    assert lines({}, {AUDIT_FILE: wrong})[0].endswith("not valid: wheels: 2 were audited, the lock has 1")


@pytest.mark.parametrize("text", ["", "{}", SMOKE.replace("Debian", "# <b>\\n")])
def test_what_is_not_valid_is_called_so(text: str) -> None:
    (line,) = lines({}, {SMOKE_FILE: text})
    assert line.startswith(f"- evidence added: {NAME}/{SMOKE_FILE}: not valid: ")


def test_the_evidence_of_a_workspace(tmp_path: Path) -> None:
    workspace = locked_workspace(tmp_path)
    assert evidence_now(workspace) == {}
    folder = workspace.envs / NAME
    (folder / SMOKE_FILE).write_text(SMOKE)
    (folder / AUDIT_FILE).symlink_to("/dev/zero")
    assert evidence_now(workspace) == {
        (NAME, SMOKE_FILE): SMOKE,
        (NAME, AUDIT_FILE): "not a regular file",
    }
