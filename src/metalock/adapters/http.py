"""The HTTP client: each request is bounded in time and size, and ends when the run is interrupted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import ChunkedEncodingError, InvalidSchema, InvalidURL, MissingSchema
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse
from urllib3.util import Retry

from metalock import __version__
from metalock.adapters.waiting import TooLongError, Wait, in_background
from metalock.errors import FetchError, redact
from metalock.progress import Reporter

Value = TypeVar("Value")
RETRIED = (429, 500, 502, 503, 504)
"""Statuses that may be gone at the next try."""
PIECE = 1 << 16
_FAILURES = (requests.RequestException, HTTPError, HTTPException, OSError, ValueError, OverflowError)
"""What requests raises, and what it lets through from below for headers that make no sense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of a request: seconds, bytes and counts."""

    connect: float = 10.0
    silence: float = 20.0
    """Seconds without a byte."""
    whole: float = 180.0
    """Seconds for a whole answer, with all redirects and tries."""
    piece: float = 60.0
    """Seconds for one piece of a download."""
    probe: float = 15.0
    """Seconds until a server that has not answered at all counts as unreachable."""
    size: int = 256 << 20
    """Bytes of an answer that is kept in memory."""
    redirects: int = 10
    tries: int = 4
    """How often a request is repeated after a status of `RETRIED`."""
    retry_after: int = 15
    """Seconds that a server's `Retry-After` counts for at most."""
    report: float = 10.0
    """Seconds of waiting after which the reporter says so."""


DEFAULT = Limits()


class IncompleteError(FetchError):
    """An answer stopped before its end; the bytes received so far are good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer."""

    status: int
    url: str
    """The address after all redirects."""
    kind: str
    """The `Content-Type`."""
    body: bytes


class Stream:
    """An answer that is received piece by piece."""

    def __init__(self, client: Client, response: requests.Response) -> None:
        self._client = client
        self._response = response
        self._is_reading = False
        self.status = response.status_code
        self.headers = response.headers

    def pieces(self, size: int) -> Iterator[bytes]:
        """Yield the bytes as they come; raise `IncompleteError` if they stop too early, or hardly come."""
        pieces = self._response.iter_content(size)

        def work() -> bytes:
            self._is_reading = True
            try:
                return next(pieces, b"")
            finally:
                self._is_reading = False

        while True:
            try:
                piece = self._client.bounded(self._response.url, work, whole=False)
            except FetchError as error:
                raise IncompleteError(str(error)) from None
            if not piece:
                return
            yield piece

    def close(self) -> None:
        """Give the connection back; one that a thread still reads from is left to that thread."""
        if not self._is_reading:
            self._response.close()


class Client:
    """Sends requests; proxies, certificates and netrc are as `requests` finds them. Threads may share it."""

    def __init__(self, reporter: Reporter | None = None, limits: Limits | None = None) -> None:
        self._reporter = reporter or Reporter()
        self._limits = limits or DEFAULT
        self._local = threading.local()
        self._reported: set[str] = set()

    def read(
        self, url: str, *, headers: Mapping[str, str] | None = None, accept: Collection[int] = ()
    ) -> Answer:
        """Return the answer if its status is good or in `accept`; raise `FetchError` with URL and reason."""
        session = self._session()

        def work() -> Answer:
            with self._send(session, "GET", url, headers or {}) as response:
                _require_good(response, accept)
                body = bytearray()
                for piece in response.iter_content(PIECE):
                    body += piece
                    if len(body) > self._limits.size:
                        raise FetchError(f"{url}: the answer has more than {self._limits.size} bytes")
                kind = response.headers.get("Content-Type", "")
                return Answer(status=response.status_code, url=response.url, kind=kind, body=bytes(body))

        return self.bounded(url, work)

    @contextmanager
    def stream(
        self, url: str, *, headers: Mapping[str, str] | None = None, accept: Collection[int] = ()
    ) -> Iterator[Stream]:
        """Yield an answer as `read` returns it, with the body left to be received in the block."""
        session = self._session()
        response = self.bounded(url, lambda: self._send(session, "GET", url, headers or {}))
        stream = Stream(self, response)
        try:
            _require_good(response, accept)
            yield stream
        finally:
            stream.close()

    def content_length(self, url: str) -> int:
        """Return the size in bytes that the server states for a file."""
        session = self._session()
        headers = {"Accept-Encoding": "identity"}
        response = self.bounded(url, lambda: self._send(session, "HEAD", url, headers))
        _require_good(response)
        length = response.headers.get("Content-Length", "")
        if not (length.isdecimal() and len(length) < len(str(1 << 63))):
            raise FetchError(f"{url}: the server does not state a size")
        return int(length)

    def put(self, url: str, data: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """Store the data there; raise `FetchError` if the server refuses it."""
        session = self._session()
        _require_good(self.bounded(url, lambda: self._send(session, "PUT", url, headers or {}, data)))

    def is_reachable(self, url: str) -> bool:
        """Return whether a server answers at all, with whatever status."""
        timeout = (self._limits.connect, self._limits.probe)
        wait = Wait(self._limits.connect + self._limits.probe, lambda: self._report(url))
        try:
            in_background(lambda: requests.head(url, timeout=timeout, allow_redirects=False), wait)
        except (requests.ConnectionError, requests.Timeout, TooLongError):
            return False
        except _FAILURES:
            return True
        return True

    def bounded(self, url: str, work: Callable[[], Value], *, whole: bool = True) -> Value:
        """Return what `work` returns, in the time for a whole answer or for a piece of one.

        Raises `FetchError` naming the URL for whatever goes wrong with the request.
        """
        limit = self._limits.whole if whole else self._limits.piece
        wait = Wait(limit, lambda: self._report(url), self._limits.report)
        try:
            return in_background(work, wait)
        except TooLongError:
            self._local = threading.local()  # a given-up thread may still use that session
            part = "the whole answer" if whole else "the next part of the answer"
            raise FetchError(f"{url}: {part} did not arrive within {limit:.0f} s") from None
        except _FAILURES as error:
            kind = IncompleteError if isinstance(error, ChunkedEncodingError) else FetchError
            raise kind(f"{url}: {_reason(error)}") from None

    def _session(self) -> requests.Session:
        """Return the session of this thread."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.headers["User-Agent"] = f"metalock/{__version__}"
            session.max_redirects = self._limits.redirects
            session.hooks["response"].append(_close_redirect)
            retry = _Retry(
                total=self._limits.tries,
                connect=2,
                read=2,
                backoff_factor=0.3,
                status_forcelist=RETRIED,
                allowed_methods=("GET", "HEAD"),
                raise_on_status=False,
                retry_after_max=self._limits.retry_after,
            )
            for scheme in ("http://", "https://"):
                session.mount(scheme, HTTPAdapter(max_retries=retry, pool_maxsize=4))
        return session

    def _send(
        self,
        session: requests.Session,
        method: str,
        url: str,
        headers: Mapping[str, str],
        data: bytes | None = None,
    ) -> requests.Response:
        return session.request(
            method,
            url,
            headers=dict(headers),
            data=data,
            timeout=(self._limits.connect, self._limits.silence),
            allow_redirects=True,
            stream=method == "GET",
        )

    def _report(self, url: str) -> None:
        """Report a long wait, once for each server."""
        server = urlsplit(redact(url)).netloc
        if server not in self._reported:
            self._reported.add(server)
            self._reporter.note(f"waiting for {server} to answer; Ctrl-C ends the run")


class _Retry(Retry):
    """Retries without reading the body of the answer that failed, which may have no end."""

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        """Close the answer, and return the retries that are left."""
        if response is not None:
            response.close()
        return super().increment(method, url, response, error, _pool, _stacktrace)


def _close_redirect(response: requests.Response, *_: object, **__: object) -> None:
    """Close a redirect before requests reads its body, which may have no end."""
    if response.is_redirect:
        response.close()


def _require_good(response: requests.Response, accept: Collection[int] = ()) -> None:
    if response.ok or response.status_code in accept:
        return
    asked = response.headers.get("Retry-After", "")[:40]
    later = f" (Retry-After: {asked})" if asked else ""
    raise FetchError(f"{response.url}: the server answered {response.status_code} {response.reason}{later}")


def _reason(error: BaseException) -> str:
    """Return the innermost cause, in one line, without addresses of Python objects."""
    if isinstance(error, (InvalidURL, InvalidSchema, MissingSchema)):
        return "not a URL of http or https"
    cause = error
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    return redact(str(cause).splitlines()[0])[:500] if str(cause).strip() else type(cause).__name__
