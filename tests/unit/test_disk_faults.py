"""A full disk, a quota or a size limit (`ulimit -f`) is not reported as a fault of a server."""

from __future__ import annotations

import errno
import signal
from pathlib import Path

import pytest
import rattler

from metalock.adapters.conda import ChannelSolver, CondaRequest
from metalock.adapters.files import naming, write_text
from metalock.adapters.proc import Completed
from metalock.adapters.settings import read_settings
from metalock.adapters.uv import uv_failure
from metalock.errors import FetchError, ToolError
from metalock.platforms import Platform

REQUEST = CondaRequest(
    platform=Platform.LINUX_64,
    floor="2.28",
    channels=("conda-forge",),
    exclude_newer="2026-08-21T00:00:00+00:00",
    specs=("python",),
)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("failed to write shard: File too large (os error 27)", ToolError),
        ("could not write: No space left on device (os error 28)", ToolError),
        ("HTTP status client error (404 Not Found)", FetchError),
    ],
)
def test_rattler(text: str, kind: type[ToolError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def solve(*_: object, **__: object) -> None:
        raise OSError(text)

    monkeypatch.setattr(rattler, "solve", solve)
    solver = ChannelSolver(read_settings({"HOME": str(tmp_path)}, home=tmp_path), tmp_path)
    with pytest.raises(ToolError) as caught:
        solver.solve(REQUEST, ())
    assert type(caught.value) is kind
    assert (str(tmp_path) in str(caught.value)) is (kind is ToolError)


@pytest.mark.parametrize(
    ("code", "stderr", "kind"),
    [
        (-signal.SIGXFSZ, "", ToolError),
        (2, "error: failed to write to file: File too large (os error 27)", ToolError),
        (2, "error: error sending request for url", FetchError),
    ],
)
def test_uv(code: int, stderr: str, kind: type[ToolError]) -> None:
    error = uv_failure(Completed(code=code, stdout="", stderr=stderr), "uv pip install", Path("/p"))
    assert type(error) is kind
    assert ("ulimit -f" in str(error.hint)) is (kind is ToolError)


def test_a_write_that_fails_names_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="page") as caught:
        write_text(tmp_path / "page.md", "x")
    assert "page.md" in caught.value.filename
    with pytest.raises(FileNotFoundError) as other, naming(tmp_path):
        (tmp_path / "absent").read_bytes()
    assert other.value.filename == str(tmp_path / "absent")
