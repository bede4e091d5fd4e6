"""Which wheels the package index offers, with their hashes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from http import HTTPStatus
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion
from requests import HTTPError, RequestException, Response
from requests.exceptions import ChunkedEncodingError

from metalock.adapters.cache import Cache
from metalock.adapters.http import reason, session
from metalock.adapters.settings import INDEX_HINT
from metalock.errors import FetchError, ToolError
from metalock.lock.model import PipPackage
from metalock.platforms import Platform

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html, text/html;q=0.01"
PAGE_FORMAT = 1
"""Of what is kept of a page: another number, and all are read anew."""


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

    With a `cache`, what a page was found to hold is kept, and the page is parsed anew only when it differs.
    """

    def __init__(self, index_url: str | None, cache: Cache | None = None) -> None:
        self._url = index_url
        self._cache = cache
        self._pages: dict[str, dict[str, IndexWheel]] = {}

    def wheels(self, distribution: str) -> dict[str, IndexWheel]:
        """Every wheel of a distribution by file name; empty if the index doesn't have it.

        Raises `FetchError` if the index can't be read.
        """
        name = canonicalize_name(distribution)
        page = self._pages.get(name)
        if page is None:
            page = self._pages[name] = {wheel.file: wheel for wheel in self._read(name)}
        return page

    def _read(self, name: str) -> list[IndexWheel]:
        entry = _entry(self._url, name)
        known = self._known(entry)
        try:
            response = _page(self._address(name, known))
            if response.status_code == HTTPStatus.NOT_FOUND:
                return []
            response.raise_for_status()
            digest = _digest(response)
            if known.get("digest") == digest:
                return [IndexWheel(**row) for row in known["wheels"]]
            wheels = _parsed(response, name)
        except (ValueError, RuntimeError) as error:
            raise FetchError(f"package index, {name}: not a project page: {error}", hint=INDEX_HINT) from None
        except HTTPError as error:
            raise FetchError(f"package index: {error}", hint=INDEX_HINT) from None
        except RequestException as error:
            raise FetchError(f"package index, {name}: {reason(error)}", hint=INDEX_HINT) from None
        if "@" not in response.url:  # a password would be on disk
            rows = [asdict(wheel) for wheel in wheels]
            self._remember(entry, {"url": response.request.url, "digest": digest, "wheels": rows})
        return wheels

    def _address(self, name: str, known: Mapping[str, Any]) -> str:
        """Where the page is; of the index that everyone uses, pypi-simple knows it."""
        if self._url is not None:
            return f"{self._url.rstrip('/')}/{name}/"
        if known:
            return str(known["url"])
        from pypi_simple import PyPISimple

        return PyPISimple(session=session()).get_project_url(name)

    def _known(self, entry: str) -> dict[str, Any]:
        data = self._cache.read(entry) if self._cache is not None else None
        try:
            known = json.loads(bytes(data or b"{}"))
        except ValueError:
            return {}
        return known if isinstance(known, dict) else {}

    def _remember(self, entry: str, known: Mapping[str, object]) -> None:
        if self._cache is not None:
            data = json.dumps(known).encode()
            with suppress(ToolError):  # without it, the next run takes a moment longer
                self._cache.prepare()
                self._cache.write(entry, lambda stream: stream.write(data))

    def find(self, package: PipPackage) -> IndexWheel | None:
        """The locked wheel by its file name, whatever its hash now is."""
        return self.wheels(package.name).get(package.file)

    def fitting(
        self, distribution: str, specifier: str, *, platform: Platform, python: str, floor: str
    ) -> list[IndexWheel]:
        """Wheels that satisfy `specifier` and that pip would take there, whenever published."""
        tags = set(platform.wheel_tags(python, floor))
        wanted = SpecifierSet(specifier)
        return [
            wheel
            for wheel in self.wheels(distribution).values()
            if not wheel.yanked and _admits(wheel.requires_python, python) and _fits(wheel.file, wanted, tags)
        ]


def _entry(index_url: str | None, name: str) -> str:
    return f"page-{PAGE_FORMAT}-{sha256(f'{index_url or str()} {name}'.encode()).hexdigest()}"


def _page(url: str) -> Response:
    try:
        return session().get(url, headers={"Accept": ACCEPT})
    except ChunkedEncodingError:  # it broke off, which is no status that the session retries
        return session().get(url, headers={"Accept": ACCEPT})


def _digest(response: Response) -> str:
    """Of all that the wheels are read from: links are relative to the page's address."""
    how = f"{response.url} {response.headers.get('Content-Type')} "
    return sha256(how.encode() + response.content).hexdigest()


def _parsed(response: Response, name: str) -> list[IndexWheel]:
    from pypi_simple import ProjectPage

    return [
        IndexWheel(
            file=package.filename,
            url=package.url,
            sha256=package.digests.get("sha256"),
            requires_python=package.requires_python,
            yanked=package.is_yanked,
        )
        for package in ProjectPage.from_response(response, name).packages
        if package.package_type == "wheel"
    ]


def _fits(file: str, wanted: SpecifierSet, tags: set[Tag]) -> bool:
    try:
        _, version, _, wheel_tags = parse_wheel_filename(file)
    except (InvalidWheelFilename, InvalidVersion):
        return False
    return wanted.contains(version, prereleases=False) and not tags.isdisjoint(wheel_tags)


def _admits(requires_python: str | None, python: str) -> bool:
    """Whether `Requires-Python` admits a release of that minor version; its last patch decides."""
    try:
        return requires_python is None or SpecifierSet(requires_python).contains(f"{python}.99")
    except InvalidSpecifier:
        return True
