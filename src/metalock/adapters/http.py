"""The one HTTP client: retries what may pass."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from metalock import __version__
from metalock.errors import FetchError

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 20.0
"""Seconds without a byte, not for the whole answer."""
PROBE_TIMEOUT = 15.0
"""A server that takes longer to say anything at all counts as not there."""
RETRIES = 4
PASSING = (429, 500, 502, 503, 504)
"""Statuses that may be gone at the next try."""

_local = threading.local()


def session() -> requests.Session:
    """This thread's session; proxies, certificates and netrc are as `requests` finds them."""
    existing: requests.Session | None = getattr(_local, "session", None)
    if existing is None:
        existing = _local.session = requests.Session()
        existing.headers["User-Agent"] = f"metalock/{__version__}"
        retry = Retry(
            total=RETRIES,
            connect=2,
            read=2,
            backoff_factor=0.3,
            status_forcelist=PASSING,
            allowed_methods=("GET", "HEAD"),
            raise_on_status=False,
        )
        adapter = HTTPAdapter(max_retries=retry, pool_maxsize=4)
        for scheme in ("http://", "https://"):
            existing.mount(scheme, adapter)
    return existing


def get(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    stream: bool = False,
    accept: Collection[int] = (),
) -> requests.Response:
    """The answer, if it is good or its status `accept`ed; raise `FetchError` naming URL and problem."""
    return _request("GET", url, headers=headers, stream=stream, accept=accept)


def content_length(url: str) -> int:
    """The size in bytes that the server states for a file."""
    response = _request("HEAD", url, headers={"Accept-Encoding": "identity"}, stream=False)
    length = response.headers.get("Content-Length", "")
    if not length.isdigit():
        raise FetchError(f"{url}: the server states no size")
    return int(length)


def put(url: str, data: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
    """Store the data there; raise `FetchError` if the server doesn't take it."""
    try:
        response = requests.put(
            url, data, headers=dict(headers or {}), timeout=(CONNECT_TIMEOUT, READ_TIMEOUT)
        )
    except requests.RequestException as error:
        raise FetchError(f"{url}: {reason(error)}") from None
    if not response.ok:
        raise FetchError(f"{url}: the server answered {response.status_code} {response.reason}")


def _request(
    method: str, url: str, *, headers: Mapping[str, str] | None, stream: bool, accept: Collection[int] = ()
) -> requests.Response:
    try:
        response = session().request(
            method,
            url,
            headers=dict(headers or {}),
            timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
            allow_redirects=True,
            stream=stream,
        )
    except requests.RequestException as error:
        raise FetchError(f"{url}: {reason(error)}") from None
    if not response.ok and response.status_code not in accept:
        response.close()
        raise FetchError(f"{url}: the server answered {response.status_code} {response.reason}")
    return response


class BrokenOffError(FetchError):
    """The connection broke in the middle of an answer; what has come is good."""


def chunks(response: requests.Response, size: int) -> Iterator[bytes]:
    """The answer's bytes as they come; raise `BrokenOffError` where they end too early."""
    try:
        yield from response.iter_content(size)
    except requests.RequestException as error:
        raise BrokenOffError(f"{response.url}: {reason(error)}") from None


def reachable(url: str) -> bool:
    """Whether any server answers there at all, with whatever status."""
    try:
        requests.head(url, timeout=(CONNECT_TIMEOUT, PROBE_TIMEOUT), allow_redirects=False)
    except (requests.ConnectionError, requests.Timeout):
        return False
    except requests.RequestException:
        return True
    return True


def reason(error: requests.RequestException) -> str:
    """The innermost cause, in one line, without addresses of Python objects."""
    cause: BaseException = error
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    return str(cause).splitlines()[0] if str(cause) else type(cause).__name__
