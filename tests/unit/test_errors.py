"""errors, findings: no message shows a credential, and each class keeps its exit code."""

from __future__ import annotations

import time

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
        ("https://me:se/cret@h/x", "https://h/x"),
        ("https://h/a,https://u:secret@b/c", "https://h/a,https://b/c"),
        ("https://h/x?token=secret", "https://h/x?token=***"),
        ("https://h/x?sig=a%3Dsecret&v=secret#sha256=00", "https://h/x?sig=***&v=***#sha256=00"),
        ("https://h/x?secret", "https://h/x?***"),
        ("(https://h/x?a=secret): gone", "(https://h/x?a=***): gone"),
        ("https://h/x;token=secret", "https://h/x;token=***"),
        ("https%3A%2F%2Fme%3Asecret%40h%2Ft%2Fsecret%2Fx%3Ftoken%3Dsecret",
         "https%3A%2F%2Fh%2Ft%2F***%2Fx%3Ftoken%3D***"),
        ("https://me%3Asecret%40h/x", "https://h/x"),
        ("https://me%253Asecret%2540h/x", "https://h/x"),
        ("https://h/t/a%2Fsecret/x", "https://h/t/***/x"),
        (r"https:\/\/me:secret@h\/t\/secret\/x", r"https:\/\/h\/t\/***\/x"),
        ("Max retries exceeded with url: /t/secret/six/?token=secret (Caused",
         "Max retries exceeded with url: /t/***/six/?token=*** (Caused"),
        ("proxy me:secret@example.invalid:8080 failed", "proxy example.invalid:8080 failed"),
        ("https://h/a/b@v1 and http://[::1]:80/@x", "https://h/a/b@v1 and http://[::1]:80/@x"),
        ("D002 envs/x: y@z at 12:30", "D002 envs/x: y@z at 12:30"),
        ("/home/t/x", "/home/t/x"),
    ],
)  # fmt: skip
def test_redact(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert str(MetalockError(text)) == MetalockError("", hint=text).hint == shown
    assert MatrixError("matrix.toml", (text,)).faults == (shown,)


@pytest.mark.parametrize("part", ["a@", "/t/", "a", "?", "a:", "%25", ")", ";a", ",a", "&a="])
@pytest.mark.parametrize("start", ["", "https://", "https://h/?"])
def test_redact_takes_no_time(start: str, part: str) -> None:
    """Whatever a server wrote: at most in proportion to its length."""
    begun = time.process_time()
    redact(start + part * 20_000)
    assert time.process_time() - begun < 2


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
