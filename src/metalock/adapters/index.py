"""Which wheels the package index offers, with their hashes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion
from pypi_simple import ACCEPT_ANY, NoSuchProjectError, PyPISimple
from requests import HTTPError, RequestException
from requests.exceptions import ChunkedEncodingError

from metalock.adapters.http import reason, session
from metalock.adapters.settings import INDEX_HINT
from metalock.errors import FetchError
from metalock.lock.model import PipPackage
from metalock.platforms import Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexWheel:
    """A wheel's entry on its project's page (PEP 503, PEP 691)."""

    file: str
    url: str
    sha256: str | None
    requires_python: str | None
    yanked: bool


class PackageIndex:
    """Project pages, each read once in a run."""

    def __init__(self, index_url: str | None) -> None:
        self._url = index_url
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

    def _read(self, name: str) -> Iterator[IndexWheel]:
        client = PyPISimple(
            session=session(), accept=ACCEPT_ANY, **({"endpoint": self._url} if self._url else {})
        )
        try:
            try:
                page = client.get_project_page(name)
            except ChunkedEncodingError:  # it broke off, which is no status that the session retries
                page = client.get_project_page(name)
        except NoSuchProjectError:
            return
        except (ValueError, RuntimeError) as error:
            raise FetchError(f"package index, {name}: not a project page: {error}", hint=INDEX_HINT) from None
        except HTTPError as error:
            raise FetchError(f"package index: {error}", hint=INDEX_HINT) from None
        except RequestException as error:
            raise FetchError(f"package index, {name}: {reason(error)}", hint=INDEX_HINT) from None
        for package in page.packages:
            if package.package_type == "wheel":
                yield IndexWheel(
                    file=package.filename,
                    url=package.url,
                    sha256=package.digests.get("sha256"),
                    requires_python=package.requires_python,
                    yanked=package.is_yanked,
                )

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
