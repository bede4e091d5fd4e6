"""errors, findings: no message shows a credential, and each class keeps its exit code."""

from __future__ import annotations

import pytest

from metalock.errors import (
    FetchError,
    MatrixError,
    MetalockError,
    NothingSelectedError,
    ToolError,
    UnsolvableError,
    UsageError,
    redact,
)
from metalock.findings import CheckRule, Finding
from metalock.progress import Reporter


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see https://example.invalid/simple", "see https://example.invalid/simple"),
        ("https://me:secret@example.invalid/x", "https://example.invalid/x"),
        ("https://secret@example.invalid", "https://example.invalid"),
        ("https://me:se@cret@example.invalid/x", "https://example.invalid/x"),
        ("socks5://me:secret@127.0.0.1:1 and https://u:secret@b/c", "socks5://127.0.0.1:1 and https://b/c"),
        ("https://example.invalid/t/tk-secret/x", "https://example.invalid/t/***/x"),
        ("https://u:secret@example.invalid/conda/t/secret", "https://example.invalid/conda/t/***"),
        ("me@example.invalid", "me@example.invalid"),
        ("/home/t/x", "/home/t/x"),
    ],
)
def test_redact(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert str(MetalockError(text)) == MetalockError("", hint=text).hint == shown
    assert MatrixError("matrix.toml", (text,)).faults == (shown,)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (MetalockError, 1),
        (UsageError, 2),
        (UnsolvableError, 3),
        (ToolError, 4),
        (FetchError, 4),
        (NothingSelectedError, 5),
    ],
)
def test_exit_codes(kind: type[MetalockError], code: int) -> None:
    assert kind("x").exit_code == code
    assert MatrixError("matrix.toml", ("x",)).exit_code == 2


def test_rules_have_codes_of_their_own() -> None:
    assert len({rule.code for rule in CheckRule}) == len(CheckRule)
    assert all(rule.title for rule in CheckRule)


def test_a_finding_says_how_to_mend_it() -> None:
    finding = Finding(rule=CheckRule.STALE, where="envs/x", detail="it changed", fix="Lock it.")
    assert finding.to_text() == "D002 envs/x: it changed\n     Lock it."
    assert (
        Finding(rule=CheckRule.STALE, where="envs/x", detail="it changed").to_text()
        == "D002 envs/x: it changed"
    )
    assert finding.to_dict() == {
        "code": "D002",
        "rule": "a lock was solved for what the matrix says now",
        "where": "envs/x",
        "detail": "it changed",
        "fix": "Lock it.",
    }


def test_a_reporter_may_be_deaf() -> None:
    reporter = Reporter()
    reporter.start("x", 1)
    reporter.advance("x", "done")
    reporter.note("x")
    reporter.finish()
