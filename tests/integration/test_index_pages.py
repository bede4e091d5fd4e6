"""Project pages that are kept from one run to the next, and pages that are none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pypi_simple
import pytest

from integration.index import index_files, make_wheel
from integration.servers import JSON_API, Answer, Site, serving
from metalock.adapters import index as index_module
from metalock.adapters.cache import Cache
from metalock.adapters.index import IndexWheel, PackageIndex
from metalock.adapters.waiting import INTERRUPTED
from metalock.errors import FetchError

SLOW = b"<!--" * 9000
"""A page for which the parser needs seconds: it looks for the end of each comment in all that follows."""
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

    patch.setattr(index_module, "_parsed", fail)


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
def test_a_damaged_entry_is_made_again(url: str, tmp_path: Path, damage: bytes) -> None:
    first = wheels(url, tmp_path)
    (kept,) = (tmp_path / "facts").iterdir()
    kept.write_bytes(damage)
    assert wheels(url, tmp_path) == first
    assert len(kept.read_bytes()) > 9


def test_the_address_is_never_read_from_the_cache(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pypi_simple, "PYPI_SIMPLE_ENDPOINT", f"{url}/simple/")
    assert PackageIndex(None, Cache(tmp_path)).wheels("six")
    with serving(Site(files=index_files([NEW]))) as other:
        monkeypatch.setattr(pypi_simple, "PYPI_SIMPLE_ENDPOINT", f"{other}/simple/")
        assert list(PackageIndex(None, Cache(tmp_path)).wheels("six")) == [NEW.file]


SECRET = "s3cr3t"  # not a real one
PLACES: dict[str, Callable[[str], str]] = {
    "password": lambda url: url.replace("://", f"://me:{SECRET}@") + "/simple",
    "path": lambda url: f"{url}/t/{SECRET}/simple",
    "query": lambda url: f"{url}/simple",
}


@pytest.mark.parametrize("place", PLACES)
def test_credentials_are_not_kept(site: Site, url: str, tmp_path: Path, place: str) -> None:
    """Those of the index's address, or of the files' addresses; not even as a hash that could be guessed."""
    for path, answer in list(site.files.items()):
        address, signed = f"/files/{OLD.file}".encode(), f"/files/{OLD.file}?sig={SECRET}".encode()
        if place == "query":
            bodies = {kind: body.replace(address, signed) for kind, body in answer.bodies.items()}
            site.files[path] = Answer(bodies)
        site.files[f"/t/{SECRET}{path}"] = site.files[path]
    index_url = PLACES[place](url)
    found = PackageIndex(index_url, Cache(tmp_path)).wheels("six")
    assert found
    if place == "query":
        assert SECRET in next(iter(found.values())).url
    names = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert names == []
    del site.files[f"/t/{SECRET}/simple/six/"]
    with site.failing("six", status=403), pytest.raises(FetchError, match="403") as caught:
        PackageIndex(index_url, Cache(tmp_path)).wheels("six")
    assert SECRET not in str(caught.value)


def test_the_name_of_an_entry_has_no_secret_in_it() -> None:
    assert index_module._entry("http://h/t/a/six/?b=c") == index_module._entry("http://u:p@h/t/d/six/?b=e")


WRONG_PAGES: dict[str, tuple[str, bytes]] = {
    "version 9.0": (JSON_API, b'{"meta": {"api-version": "9.0"}, "name": "six", "files": []}'),
    "version 9.0 in HTML": ("text/html", b'<meta name="pypi:repository-version" content="9.0">'),
    "a version that is none": (JSON_API, b'{"meta": {"api-version": "x"}, "name": "six", "files": []}'),
    "not JSON": (JSON_API, b"<html>"),
    "not UTF-8": (JSON_API, b'{"name": "\xff"}'),
    "nested": (JSON_API, b"[" * 100_000),
    "an array": (JSON_API, b"[]"),
    "wrong types": (JSON_API, b'{"meta": {"api-version": "1.0"}, "name": "six", "files": {"filename": 1}}'),
    "a huge number": (JSON_API, b'{"meta": {"api-version": "1.0"}, "name": ' + b"9" * 9999 + b"}"),
    "another content type": ("image/png", b"\x89PNG"),
    "a content type that is none": ("\x01;;;=", b""),
    "an unknown charset": ("text/html; charset=klingon-9", b"<a href='x'>x</a>"),
}


@pytest.mark.parametrize("what", WRONG_PAGES)
def test_a_page_that_is_none(site: Site, url: str, tmp_path: Path, what: str) -> None:
    kind, body = WRONG_PAGES[what]
    site.put("/simple/six/", body, kind)
    index = PackageIndex(url.replace("://", f"://me:{SECRET}@") + "/simple", Cache(tmp_path))
    if what == "an unknown charset":
        assert index.wheels("six") == {}
        return
    with pytest.raises(FetchError, match=f"{url}/simple/six/ is not a page of a package index") as caught:
        index.wheels("six")
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "facts").exists(), "nothing of it is kept"


def test_a_newer_minor_version_is_read(site: Site, url: str, tmp_path: Path) -> None:
    for kind, body in index_files([OLD])["/simple/six/"].bodies.items():
        if kind == JSON_API:
            site.put("/simple/six/", body.replace(b'"1.1"', b'"1.99"'), kind)
    assert list(wheels(url, tmp_path)) == [OLD.file]


def test_a_cache_that_cannot_be_written_is_no_hindrance(url: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert wheels(url, tmp_path / "file")


def test_a_page_that_takes_for_ever_to_read(
    site: Site, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "READ_LIMIT", 0.3)
    site.put("/simple/six/", SLOW, "text/html")
    with pytest.raises(FetchError, match=r"/simple/six/ is not a page .*not be read within 0 s"):
        wheels(url, tmp_path)


def test_an_interrupted_run_does_not_wait_for_a_page_to_be_read(site: Site, url: str, tmp_path: Path) -> None:
    site.put("/simple/six/", SLOW, "text/html")
    timer = threading.Timer(0.2, INTERRUPTED.set)
    timer.start()
    start = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            wheels(url, tmp_path)
    finally:
        timer.cancel()
        INTERRUPTED.clear()
    assert time.monotonic() - start < 1.5
