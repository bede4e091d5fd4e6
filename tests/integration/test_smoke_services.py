"""The S3 server of the suite: it comes up, holds what the tests know, and is gone afterwards."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import requests

from metalock.errors import FetchError, MetalockError, ToolError
from metalock.smoke import services
from metalock.smoke.services import BUCKET, OBJECTS, NoServiceError, service

PYTHON = Path(sys.executable)


def test_s3_server_holds_the_objects_and_ends(tmp_path: Path) -> None:
    with service("s3", PYTHON, tmp_path) as variables:
        endpoint = variables["S3_ENDPOINT"]
        assert variables["METALOCK_S3_ENDPOINT"] == endpoint
        assert variables["METALOCK_S3_BUCKET"] == BUCKET
        for key, data in OBJECTS.items():
            assert requests.get(f"{endpoint}/{BUCKET}/{key}", timeout=10).content == data
    with pytest.raises(requests.ConnectionError):
        requests.get(endpoint, timeout=10)


def test_it_ends_with_what_uses_it(tmp_path: Path) -> None:
    endpoint = ""

    def fail() -> None:
        nonlocal endpoint
        with service("s3", PYTHON, tmp_path) as variables:
            endpoint = variables["S3_ENDPOINT"]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    with pytest.raises(requests.ConnectionError):
        requests.get(endpoint, timeout=10)


def test_without_moto_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "NEEDED", ("moto", "a_module_that_is_not_there"))
    with (
        pytest.raises(NoServiceError, match=r"a_module_that_is_not_there .*metalock\[s3\]"),
        service("s3", PYTHON, tmp_path),
    ):
        pass


def test_a_server_that_ends_at_once_shows_what_it_said(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho no room here\nexit 3\n", encoding="utf-8")
    program.chmod(0o755)
    with pytest.raises(ToolError, match="no room here"), service("s3", program, tmp_path):
        pass


def test_a_server_that_says_nothing_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "START_SECONDS", 0.5)
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nsleep 30\n", encoding="utf-8")
    program.chmod(0o755)
    with pytest.raises(ToolError, match="did not start within"), service("s3", program, tmp_path):
        pass


def test_a_server_that_takes_no_object_is_an_error(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho Running on http://127.0.0.1:1\nsleep 30\n", encoding="utf-8")
    program.chmod(0o755)
    with pytest.raises(FetchError, match=r"127[.]0[.]0[.]1:1"), service("s3", program, tmp_path):
        pass


def test_an_unknown_service(tmp_path: Path) -> None:
    with pytest.raises(MetalockError, match="gopher"), service("gopher", PYTHON, tmp_path):
        pass
