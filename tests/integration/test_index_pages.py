"""Project pages that are kept from one run to the next: parsed once, asked for each time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pypi_simple
import pytest

from integration.index import index_files, make_wheel
from integration.servers import Site, serving
from metalock.adapters.cache import Cache
from metalock.adapters.index import IndexWheel, PackageIndex

OLD, NEW = make_wheel("six", "1.0"), make_wheel("six", "2.0")


@pytest.fixture
def site() -> Site:
    return Site(files=index_files([OLD]))


@pytest.fixture
def url(site: Site) -> Iterator[str]:
    with serving(site) as url:
        yield url


def wheels(url: str, folder: Path) -> dict[str, IndexWheel]:
    return PackageIndex(f"{url}/simple", Cache(folder)).wheels("six")


def forbid_parsing(patch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("parsed again")

    patch.setattr(pypi_simple.ProjectPage, "from_response", fail)


def test_an_equal_page_is_not_parsed_again(
    site: Site, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = wheels(url, tmp_path)
    assert list(first) == [OLD.file]
    forbid_parsing(monkeypatch)
    assert wheels(url, tmp_path) == first
    assert site.asked.count("/simple/six/") == 2, "the index has the last word"


def test_a_changed_page_is(site: Site, url: str, tmp_path: Path) -> None:
    wheels(url, tmp_path)
    site.files |= index_files([OLD, NEW])
    assert list(wheels(url, tmp_path)) == [OLD.file, NEW.file]
    del site.files["/simple/six/"]
    assert not wheels(url, tmp_path)


@pytest.mark.parametrize("damage", [b"", b"\xff", b"[]", b"{}"])
def test_what_is_damaged_is_read_anew(url: str, tmp_path: Path, damage: bytes) -> None:
    first = wheels(url, tmp_path)
    (kept,) = (tmp_path / "facts").iterdir()
    kept.write_bytes(damage)
    assert wheels(url, tmp_path) == first
    assert len(kept.read_bytes()) > 9


def test_a_cache_that_cannot_be_written_is_no_hindrance(url: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert wheels(url, tmp_path / "file")


def test_an_address_with_a_password_is_not_kept(url: str, tmp_path: Path) -> None:
    assert wheels(url.replace("://", "://me:hush@"), tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
