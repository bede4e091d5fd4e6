"""adapters/proc: what a program printed comes back without credentials."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from metalock.adapters import proc
from metalock.adapters.uv import uv_failure

SECRETS = "see https://me:hush@example.invalid/t/tk-hush/simple and http://hush@127.0.0.1:1"
SHOWN = "see https://example.invalid/t/***/simple and http://127.0.0.1:1"


def test_no_output_of_a_program_has_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 2, stdout=f"1 {SECRETS}", stderr=f"2 {SECRETS}")

    monkeypatch.setattr(subprocess, "run", fake)
    completed = proc.run(["it"], env={}, cwd=Path())
    assert completed == proc.Completed(code=2, stdout=f"1 {SHOWN}", stderr=f"2 {SHOWN}")


@pytest.mark.parametrize("kind", ["No solution found", "HTTP status", "No space left on device", "panic"])
def test_no_error_of_uv_has_credentials(kind: str) -> None:
    error = uv_failure(proc.Completed(code=2, stdout="", stderr=f"error: {kind}: {SECRETS}"), "uv", Path())
    assert "hush" not in f"{error} {error.hint}"
    assert SHOWN in str(error)
