"""Servers on loopback that capabilities ask for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from metalock.errors import ToolError


@contextmanager
def s3_server() -> Iterator[dict[str, str]]:
    raise ToolError("no S3 server")
    yield {}
