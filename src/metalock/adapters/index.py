"""Which wheels the package index offers, with their hashes."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from email.message import Message
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion

from metalock.adapters.cache import Cache
from metalock.adapters.http import Answer, Client, IncompleteError
from metalock.adapters.settings import INDEX_HINT
from metalock.adapters.waiting import TooLongError, Wait, in_background
from metalock.errors import FetchError, ToolError, redact
from metalock.lock.model import PipPackage
from metalock.platforms import Platform
from metalock.untrusted import one_line

if TYPE_CHECKING:
    from pypi_simple import DistributionPackage

JSON = "application/vnd.pypi.simple.v1+json"
HTML = ("application/vnd.pypi.simple.v1+html", "text/html")
ACCEPT = f"{JSON}, {HTML[0]}, {HTML[1]};q=0.01"
READ_LIMIT = 60.0
"""Seconds for reading one page: the time for some HTML grows with the square of its size."""
PAGE_FORMAT = 2
"""The format of cached pages: after a change of it, all pages are parsed again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexWheel:
    """A wheel's entry on its project's page (PEP 503, PEP 691)."""

    file: str
    url: str
    sha256: str | None
    requires_python: str | None
    yanked: bool


class PackageIndex:
    """Project pages, each read once in a run.

    With a `cache`, the wheels of a page are kept, and the page is parsed again only when it has changed.
    """

    def __init__(
        self, index_url: str | None, cache: Cache | None = None, *, client: Client | None = None
    ) -> None:
        self._url = index_url
        self._cache = cache
        self._client = client or Client()
        self._pages: dict[str, dict[str, IndexWheel]] = {}

    def wheels(self, distribution: str) -> dict[str, IndexWheel]:
        """Return every wheel of a distribution by file name; none if the index does not have it.

        Raises `FetchError` if the index can't be read.
        """
        name = canonicalize_name(distribution)
        page = self._pages.get(name)
        if page is None:
            page = self._pages[name] = {wheel.file: wheel for wheel in self._read(name)}
        return page

    def _read(self, name: str) -> list[IndexWheel]:
        url = f"{(self._url or _default_url()).rstrip('/')}/{name}/"
        answer = self._get(url)
        if answer.status == HTTPStatus.NOT_FOUND:
            return []
        entry, digest = _entry(url), _digest(answer)
        known = self._known(entry)
        if known.get("digest") == digest:
            return [IndexWheel(**row) for row in known["wheels"]]
        wheels = _parsed_in_time(answer, name)
        self._remember(entry, {"digest": digest, "wheels": [asdict(wheel) for wheel in wheels]})
        return wheels

    def _get(self, url: str) -> Answer:
        """Return the page; ask once more if the answer was incomplete, which the client does not repeat."""
        headers = {"Accept": ACCEPT}
        try:
            try:
                return self._client.read(url, headers=headers, accept=(HTTPStatus.NOT_FOUND,))
            except IncompleteError:
                return self._client.read(url, headers=headers, accept=(HTTPStatus.NOT_FOUND,))
        except FetchError as error:
            raise FetchError(f"package index: {error}", hint=INDEX_HINT) from None

    def _known(self, entry: str) -> dict[str, Any]:
        data = self._cache.read(entry) if self._cache is not None else None
        known: dict[str, Any] = json.loads(data or b"{}")
        return known

    def _remember(self, entry: str, known: Mapping[str, object]) -> None:
        text = json.dumps(known)
        if self._cache is None or redact(text) != text:  # an address with a token would be on disk
            return
        with suppress(ToolError):  # without it, the next run takes a moment longer
            self._cache.prepare()
            self._cache.write(entry, lambda stream: stream.write(text.encode()))

    def find(self, package: PipPackage) -> IndexWheel | None:
        """Return the entry with the file name of a locked wheel, whatever its hash is now."""
        return self.wheels(package.name).get(package.file)

    def fitting(
        self, distribution: str, specifier: str, *, platform: Platform, python: str, floor: str
    ) -> list[IndexWheel]:
        """Return the wheels that satisfy `specifier` and that pip would install there, of any date."""
        tags = set(platform.wheel_tags(python, floor))
        wanted = SpecifierSet(specifier)
        return [
            wheel
            for wheel in self.wheels(distribution).values()
            if not wheel.yanked and _admits(wheel.requires_python, python) and _fits(wheel.file, wanted, tags)
        ]


def _default_url() -> str:
    """Return the index that everyone uses: pypi-simple knows it."""
    from pypi_simple import PYPI_SIMPLE_ENDPOINT

    return PYPI_SIMPLE_ENDPOINT


def _entry(url: str) -> str:
    """Return the name of a page's entry: a hash, of nothing that is secret."""
    return f"page-{PAGE_FORMAT}-{sha256(redact(url).encode()).hexdigest()}"


def _digest(answer: Answer) -> str:
    """Return the digest of all that the wheels are read from: links are relative to the page's address."""
    return sha256(f"{answer.url} {answer.kind} ".encode() + answer.body).hexdigest()


def _parsed_in_time(answer: Answer, name: str) -> list[IndexWheel]:
    """Return the wheels of a page; raise `FetchError` if it cannot be read, or not within `READ_LIMIT`."""
    try:
        return in_background(lambda: _parsed(answer, name), Wait(READ_LIMIT))
    except TooLongError:
        raise _not_a_page(answer, f"it could not be read within {READ_LIMIT:.0f} s") from None


def _parsed(answer: Answer, name: str) -> list[IndexWheel]:
    """Return the wheels of a page; raise `FetchError` naming the page if it is not one of a package index."""
    from pypi_simple import ProjectPage, UnexpectedRepoVersionWarning, UnsupportedRepoVersionError

    kind, _, _ = answer.kind.partition(";")
    kind = kind.strip().lower() or HTML[1]
    if kind not in (JSON, *HTML):
        raise _not_a_page(answer, f"its content type is {kind[:100]!r}")
    try:
        with warnings.catch_warnings(category=UnexpectedRepoVersionWarning, action="ignore"):
            if kind == JSON:
                page = ProjectPage.from_json_data(json.loads(answer.body), answer.url)
            else:
                page = ProjectPage.from_html(name, answer.body, answer.url, _charset(answer.kind))
        return [_wheel(package) for package in page.packages if package.package_type == "wheel"]
    except (ValueError, TypeError, LookupError, RecursionError, UnsupportedRepoVersionError) as error:
        raise _not_a_page(answer, str(error)) from None


def _not_a_page(answer: Answer, reason: str) -> FetchError:
    problem = f"{answer.url} is not a page of a package index: {one_line(redact(reason), 300)}"
    return FetchError(f"package index: {problem}", hint=INDEX_HINT)


def _charset(content_type: str) -> str | None:
    header = Message()
    header["Content-Type"] = content_type
    return header.get_content_charset()


def _wheel(package: DistributionPackage) -> IndexWheel:
    return IndexWheel(
        file=package.filename,
        url=package.url,
        sha256=package.digests.get("sha256"),
        requires_python=package.requires_python,
        yanked=package.is_yanked,
    )


def _fits(file: str, wanted: SpecifierSet, tags: set[Tag]) -> bool:
    """Return whether a wheel has a wanted version and one of the tags."""
    try:
        _, version, _, wheel_tags = parse_wheel_filename(file)
    except (InvalidWheelFilename, InvalidVersion):
        return False
    return wanted.contains(version, prereleases=False) and not tags.isdisjoint(wheel_tags)


def _admits(requires_python: str | None, python: str) -> bool:
    """Return whether `Requires-Python` admits a release of that minor version; its last patch decides."""
    try:
        return requires_python is None or SpecifierSet(requires_python).contains(f"{python}.99")
    except InvalidSpecifier:
        return True
