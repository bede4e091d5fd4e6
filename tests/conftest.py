"""Unit tests touch no server and start no program; a guard fails the one that does."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3  # noqa: F401 - before the guard is active: it tries a socket when first imported
from hypothesis import settings

settings.register_profile("anywhere", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("anywhere")

# A shell starts background jobs with SIGINT ignored, and programs inherit that. With a handler in its place,
# this process still ignores it, and those that the tests start and interrupt do not.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, lambda *_: None)

UNIT = Path(__file__).parent / "unit"
OUTSIDE = {"socket.__new__", "socket.getaddrinfo", "subprocess.Popen"} | {
    f"os.{name}" for name in ("system", "exec", "posix_spawn", "spawn", "fork")
}
_guarded: list[str] = []


def _refuse(event: str, args: tuple[object, ...]) -> None:
    if _guarded and event in OUTSIDE:
        pytest.fail(f"{_guarded[-1]} leaves the process: {event}")


sys.addaudithook(_refuse)


@pytest.fixture(autouse=True)
def stays_inside(request: pytest.FixtureRequest) -> Iterator[None]:
    """For tests below `tests/unit` alone."""
    if UNIT not in request.path.parents:
        yield
        return
    _guarded.append(request.node.name)
    yield
    _guarded.clear()
