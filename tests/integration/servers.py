"""A loopback HTTP server that fails on demand: what a channel and an index are served from."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

JSON_API = "application/vnd.pypi.simple.v1+json"


@dataclass(frozen=True, slots=True)
class Answer:
    """A file, by content type: the first whose type the client accepts, else the first."""

    bodies: Mapping[str, bytes]

    def chosen(self, accept: str) -> tuple[str, bytes]:
        return next(((kind, body) for kind, body in self.bodies.items() if kind in accept), self.first)

    @property
    def first(self) -> tuple[str, bytes]:
        return next(iter(self.bodies.items()))


@dataclass(slots=True, kw_only=True)
class Fault:
    """What goes wrong with the paths that `pattern` is found in, `times` times or (None) always."""

    pattern: str
    times: int | None = None
    status: int | None = None
    delay: float = 0
    truncate: bool = False
    garbage: bytes | None = None

    def strikes(self, path: str) -> bool:
        if self.times == 0 or not re.search(self.pattern, path):
            return False
        if self.times is not None:
            self.times -= 1
        return True


@dataclass(slots=True)
class Site:
    """The paths that a server has, the faults that lie in wait, and what was asked for."""

    files: dict[str, Answer] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    credentials: set[str] = field(default_factory=set)
    mutex: threading.Lock = field(default_factory=threading.Lock)
    stopping: threading.Event = field(default_factory=threading.Event)

    def put(self, path: str, body: bytes, kind: str = "application/octet-stream") -> None:
        self.files[path] = Answer({kind: body})

    def fault_at(self, path: str) -> Fault | None:
        with self.mutex:
            return next((fault for fault in self.faults if fault.strikes(path)), None)

    @contextmanager
    def failing(self, pattern: str, **how: object) -> Iterator[None]:
        """One fault, for as long as the block runs."""
        fault = Fault(pattern=pattern, **how)  # type: ignore[arg-type]
        self.faults.append(fault)
        try:
            yield
        finally:
            self.faults.remove(fault)

    def forget(self) -> None:
        """As a fresh server: no fault, and nothing asked yet."""
        self.faults.clear()
        self.asked.clear()
        self.credentials.clear()


class Handler(BaseHTTPRequestHandler):
    """GET and HEAD with ranges, over connections that stay open."""

    protocol_version = "HTTP/1.1"
    site: Site

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.site.asked.append(path)
        if "Authorization" in self.headers:
            self.site.credentials.add(str(self.headers["Authorization"]))
        fault = self.site.fault_at(path) or Fault(pattern="")
        self.site.stopping.wait(fault.delay)
        answer = self.site.files.get(path) or self.site.files.get(f"{path}/")
        if fault.status is not None:
            self._send(fault.status, "text/plain", b"out of order\n")
        elif answer is None:
            self._send(404, "text/plain", b"not here\n")
        else:
            kind, body = answer.chosen(self.headers.get("Accept", ""))
            self._send_file(kind, body if fault.garbage is None else fault.garbage, truncate=fault.truncate)

    do_HEAD = do_GET

    def _send_file(self, kind: str, body: bytes, *, truncate: bool) -> None:
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if asked is None:
            self._send(200, kind, body, truncate=truncate)
            return
        first, last = asked.groups()
        start = int(first) if first else max(len(body) - int(last), 0)
        end = min(int(last), len(body) - 1) if first and last else len(body) - 1
        where = {"Content-Range": f"bytes {start}-{end}/{len(body)}"}
        self._send(206, kind, body[start : end + 1], where, truncate=truncate)

    def _send(
        self,
        status: int,
        kind: str,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        truncate: bool = False,
    ) -> None:
        if truncate:
            self.close_connection = True
        try:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Cache-Control", "no-cache")
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body[: len(body) // 2] if truncate else body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client gave up, or was killed

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Tests read `Site.asked` instead."""


class QuietServer(ThreadingHTTPServer):
    """Clients that are killed are no news."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@contextmanager
def serving(site: Site) -> Iterator[str]:
    """The address, without a slash at its end, for as long as the block runs."""
    handler = type("SiteHandler", (Handler,), {"site": site})
    server = QuietServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        site.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


def wait_until(condition: object, seconds: float = 20.0) -> None:
    """Poll a callable until it is true; fail the test if it never is."""
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
