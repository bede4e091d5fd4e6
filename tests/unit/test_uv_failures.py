"""adapters/uv: an error of uv is shown without credentials, whatever kind it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from metalock.adapters.proc import Completed
from metalock.adapters.uv import uv_failure

SECRETS = "see https://me:hush@example.invalid/t/tk-hush/simple and http://hush@127.0.0.1:1"
SHOWN = "see https://example.invalid/t/***/simple and http://127.0.0.1:1"


@pytest.mark.parametrize("kind", ["No solution found", "HTTP status", "No space left on device", "panic"])
def test_no_error_of_uv_has_credentials(kind: str) -> None:
    error = uv_failure(Completed(code=2, stdout="", stderr=f"error: {kind}: {SECRETS}"), "uv", Path())
    assert "hush" not in f"{error} {error.hint}"
    assert SHOWN in str(error)
