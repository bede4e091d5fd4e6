"""Servers on loopback that capabilities need, which run outside the environment under test."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from metalock.adapters.http import Client
from metalock.adapters.proc import Child, started
from metalock.errors import MetalockError, ToolError

BUCKET = "metalock"
OBJECTS = {
    "lines.txt": b"first\nsecond\nthird\n",
    "parts/0.csv": b"0,zero\n1,one\n",
    "parts/1.csv": b"2,two\n3,three\n",
}
"""The objects of the bucket; the tests of `suite/test_s3.py` expect them."""
PUBLIC = {"x-amz-acl": "public-read"}
NEEDED = ("moto", "flask", "flask_cors")
START_SECONDS = 60
POLL_SECONDS = 0.1
_ADDRESS = re.compile(r"Running on (http://127\.0\.0\.1:\d+)")


class NoServiceError(MetalockError):
    """A server that capabilities need cannot run here; they are then not verified."""


@contextmanager
def service(name: str, python: Path, scratch: Path) -> Iterator[Mapping[str, str]]:
    """Yield the variables by which tests find the server, which runs until the end of the block.

    Raises `NoServiceError` if what it needs is not installed, `ToolError` if it does not start.
    """
    if name != "s3":
        raise NoServiceError(f"no service is called {name!r}")
    with s3_server(python, scratch) as variables:
        yield variables


@contextmanager
def s3_server(python: Path, scratch: Path) -> Iterator[Mapping[str, str]]:
    """Run an S3 server with a bucket of known objects; `python` is the interpreter that metalock runs on."""
    missing = [module for module in NEEDED if find_spec(module) is None]
    if missing:
        raise NoServiceError(f"no S3 server: {', '.join(missing)} not installed (pip install 'metalock[s3]')")
    log = scratch / "s3-server.log"
    log.write_bytes(b"")
    home = scratch / "s3-home"
    home.mkdir(exist_ok=True)
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "NO_COLOR": "1",
    }
    # for port 0, the system chooses a free one
    command: list[str | Path] = [python, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with started(command, env=environment, cwd=home, log=log) as child:
        endpoint = _endpoint(child, log)
        client = Client()
        client.put(f"{endpoint}/{BUCKET}")
        for key, data in OBJECTS.items():
            client.put(f"{endpoint}/{BUCKET}/{key}", data, PUBLIC)
        yield s3_variables(endpoint)


def s3_variables(endpoint: str) -> dict[str, str]:
    """Return the variables for the tests and for tensorflow-io's S3 file system."""
    return {
        "METALOCK_S3_ENDPOINT": endpoint,
        "METALOCK_S3_BUCKET": BUCKET,
        "S3_ENDPOINT": endpoint,
        "S3_VERIFY_SSL": "0",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "metalock",
        "AWS_SECRET_ACCESS_KEY": "metalock",  # the server takes any
        "AWS_EC2_METADATA_DISABLED": "true",  # else the client asks Amazon's service for machines
    }


def _endpoint(child: Child, log: Path) -> str:
    """Return the address that the server prints."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        code = child.code(POLL_SECONDS)
        output = log.read_text(encoding="utf-8", errors="replace")
        if found := _ADDRESS.search(output):
            return found.group(1)
        if code is not None:
            raise ToolError(f"the S3 server did not start:\n{output[-1000:]}")
    raise ToolError(f"the S3 server did not start within {START_SECONDS} s")
