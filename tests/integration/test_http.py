"""The HTTP client against servers that never end: bounded in time, in size, and by the first interruption."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from integration.conftest import Project, World, end
from integration.servers import wait_until
from metalock.adapters.fetch import Download, fetch
from metalock.adapters.http import Client, Limits
from metalock.adapters.index import PackageIndex
from metalock.adapters.waiting import INTERRUPTED
from metalock.errors import FetchError
from metalock.progress import Reporter

SHORT = Limits(
    connect=0.5, silence=0.5, whole=1.5, piece=0.6, size=1 << 20, tries=1, retry_after=1, report=0.2
)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
Speak = Callable[[socket.socket, threading.Event], None]


@contextmanager
def speaking(speak: Speak) -> Iterator[tuple[str, list[int]]]:
    """A server that reads a request and then does as `speak` says; its address and its connections."""
    stop = threading.Event()
    seen: list[int] = []
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(1 << 16)
            speak(connection, stop)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                seen.append(1)
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{port}", seen
    finally:
        stop.set()
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def silent(_: socket.socket, stop: threading.Event) -> None:
    stop.wait()


def drip(start: bytes) -> Speak:
    """The start of an answer, then a byte now and again: never silent for long, and never at an end."""

    def speak(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(start)
        while not stop.wait(0.1):
            connection.sendall(b"x")

    return speak


def flood(start: bytes, piece: bytes = b"x" * 65536) -> Speak:
    def speak(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(start)
        while not stop.is_set():
            connection.sendall(piece)

    return speak


def answer(text: bytes) -> Speak:
    return lambda connection, _: connection.sendall(text)


NEVER: dict[str, tuple[Speak, str]] = {
    "silent": (silent, "timed out"),
    "a byte now and again, in the status line": (drip(b""), "whole answer did not arrive within"),
    "a byte now and again, in the headers": (drip(OK + b"X: "), "whole answer did not arrive within"),
    "a byte now and again, in the body": (
        drip(OK + b"Content-Length: 9999\r\n\r\n"),
        "whole answer did not arrive within",
    ),
    "endless body": (flood(OK + b"\r\n"), "more than 1048576 bytes"),
    "endless body of an error": (flood(b"HTTP/1.1 404 No\r\n\r\n"), "answered 404|more than 1048576 bytes"),
    "endless body of a status to retry": (flood(b"HTTP/1.1 503 No\r\n\r\n"), "answered 503"),
    "endless body of a redirect": (flood(b"HTTP/1.1 302 No\r\nLocation: /x\r\n\r\n"), "redirects"),
    "endless redirects": (
        answer(b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"),
        "10 redirects",
    ),
    "endless interim answers": (flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "did not arrive within"),
    "a huge header": (answer(OK + b"X: " + b"x" * 70000 + b"\r\n\r\n"), "line"),
    "many headers": (answer(OK + b"X: x\r\n" * 200 + b"\r\n"), "headers"),
    "Retry-After: 3600": (
        answer(b"HTTP/1.1 503 Busy\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n"),
        r"answered 503 Busy \(Retry-After: 3600\)",
    ),
    "Retry-After that is no time": (
        answer(b"HTTP/1.1 503 Busy\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n"),
        "Retry-After",
    ),
    "Retry-After of 5000 digits": (
        answer(b"HTTP/1.1 503 Busy\r\nRetry-After: " + b"9" * 5000 + b"\r\nContent-Length: 0\r\n\r\n"),
        "digits",
    ),
    "no HTTP": (answer(b"\x00\xff\n\n"), "."),
}


@pytest.mark.parametrize("how", NEVER)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # given-up connections
def test_an_answer_without_end(how: str) -> None:
    speak, words = NEVER[how]
    with speaking(speak) as (url, _):
        start = time.monotonic()
        with pytest.raises(FetchError, match=rf"(?s)package index: {url}/simple/six/.*({words})"):
            PackageIndex(f"{url}/simple", client=Client(limits=SHORT)).wheels("six")
    assert time.monotonic() - start < 6


def test_a_long_wait_is_reported_once() -> None:
    notes: list[str] = []

    class Listening(Reporter):
        def note(self, text: str) -> None:
            notes.append(text)

    with speaking(silent) as (url, _):
        client = Client(Listening(), SHORT)
        for page in ("one", "two"):
            with pytest.raises(FetchError):
                client.read(f"{url.replace('//', '//me:secret@')}/t/secret/{page}?token=secret")
    server = url.removeprefix("http://")
    assert notes == [f"waiting for {server} to answer; Ctrl-C ends the run"]


@pytest.mark.parametrize("how", [silent, drip(OK + b"Content-Length: 9999999\r\n\r\n")])
def test_a_download_that_hardly_comes(how: Speak, tmp_path: Path) -> None:
    with speaking(how) as (url, seen):
        wanted = Download(url=f"{url}/a.whl", file="a.whl", sha256="0" * 64, size=9999999)
        start = time.monotonic()
        with pytest.raises(FetchError, match=r"a\.whl: .*(timed out|did not arrive within)"):
            fetch(wanted, tmp_path, Client(limits=SHORT), delay=0)
    assert time.monotonic() - start < 12
    assert len(seen) > 1, "it is tried again"


def test_a_download_ends_when_the_run_is_interrupted(tmp_path: Path) -> None:
    ended: list[object] = []

    def work() -> None:
        try:
            fetch(wanted, tmp_path, Client())
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            ended.append(error)

    with speaking(drip(OK + b"Content-Length: 9999999\r\n\r\n")) as (url, seen):
        wanted = Download(url=f"{url}/a.whl", file="a.whl", sha256="0" * 64, size=9999999)
        thread = threading.Thread(target=work)
        thread.start()
        wait_until(lambda: seen)
        INTERRUPTED.set()
        try:
            thread.join(2)
        finally:
            INTERRUPTED.clear()
    assert [type(error) for error in ended] == [KeyboardInterrupt]


def test_a_size_that_is_no_number() -> None:
    for size in (b"many", b"9" * 30, b"\xb2"):
        with (
            speaking(answer(OK + b"Content-Length: " + size + b"\r\n\r\n")) as (url, _),
            pytest.raises(FetchError, match="does not state a size"),
        ):
            Client(limits=SHORT).content_length(f"{url}/a.whl")


@pytest.mark.parametrize(
    "url", ["ftp://example.invalid/x", "http://", "http://[", "x", "http://me:se/cret@h/x"]
)
def test_what_is_not_a_url(url: str) -> None:
    with pytest.raises(FetchError, match="not a URL of http or https") as caught:
        Client(limits=SHORT).read(url)
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "where", ["audit", "check", "env, the index", "env, the channel", "env, its packages"]
)
def test_the_first_signal_ends_the_run(
    where: str, how: signal.Signals, world: World, locked: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it waits: for pages in a pool of threads, for uv, or for the channel."""
    command = where.split(",", maxsplit=1)[0]
    answers = [OK + b"Content-Length: 0\r\n\r\n"] if where == "env, its packages" else []
    connections = 1 + len(answers)

    def speak(connection: socket.socket, stop: threading.Event) -> None:
        if answers:
            connection.sendall(answers.pop())
        else:
            stop.wait()

    with speaking(speak) as (url, seen):
        if where in ("env, the channel", "env, its packages"):
            monkeypatch.setenv("CONDA_CHANNEL_ALIAS", url)
        else:
            monkeypatch.setenv("UV_DEFAULT_INDEX", f"{url}/simple")
        process = locked.spawn(command, *(["--upgrade"] if command == "env" else []))
        wait_until(lambda: len(seen) >= connections, 60)
        time.sleep(0.3)
        process.send_signal(how)
        start = time.monotonic()
        ended = end(process, 20)
        seconds = time.monotonic() - start
    assert ended.code == 130, ended.err
    assert "Traceback" not in ended.err
    assert seconds < 2
