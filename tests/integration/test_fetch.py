"""Downloads from a server on loopback: interrupted, resumed, wrong."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from integration.servers import Handler, Site, serving
from metalock.adapters import fetch as module
from metalock.adapters.fetch import Download, fetch
from metalock.adapters.http import Client
from metalock.errors import FetchError, MetalockError, ToolError

BODY = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(BODY).hexdigest()
PATH = "/files/a.whl"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    return folder


@pytest.fixture
def site() -> Site:
    site = Site()
    site.put(PATH, BODY)
    return site


def fetched(site: Site, folder: Path, **how: Any) -> Path:
    known: dict[str, Any] = {"path": PATH, "sha256": SHA256, "size": len(BODY)} | how
    with serving(site) as host:
        url = host + known.pop("path")
        return fetch(Download(url=url, file="a.whl", **known), folder, Client(), delay=0)


def test_whole(site: Site, folder: Path) -> None:
    path = fetched(site, folder)
    assert path == folder / f"{SHA256}.whl"
    assert path.read_bytes() == BODY
    assert fetched(site, folder) == path
    assert site.asked == [PATH]


@pytest.mark.parametrize("size", [len(BODY), 0])
@pytest.mark.parametrize("held", [1, 1000, len(BODY) - 1])
def test_goes_on(site: Site, folder: Path, held: int, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / f"{SHA256}.part").write_bytes(BODY[:held])
    ranges = []
    original = Handler._send_file

    def spy(self: Handler, *args: Any, **how: Any) -> None:
        ranges.append(self.headers.get("Range"))
        original(self, *args, **how)

    monkeypatch.setattr(Handler, "_send_file", spy)
    assert fetched(site, folder, size=size).read_bytes() == BODY
    assert ranges == [f"bytes={held}-"]


def test_nothing_left_to_ask(site: Site, folder: Path) -> None:
    (folder / f"{SHA256}.part").write_bytes(BODY)
    fetched(site, folder)
    assert site.asked == []


@pytest.mark.parametrize("held", [b"other bytes", BODY[:-1] + b"x", BODY + b"x"])
def test_wrong_beginning(site: Site, folder: Path, held: bytes) -> None:
    """Once more from the start."""
    (folder / f"{SHA256}.part").write_bytes(held)
    assert fetched(site, folder).read_bytes() == BODY


def test_server_without_ranges(site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def whole(self: Handler, kind: str, body: bytes, *, truncate: bool) -> None:
        self._send(200, kind, body, truncate=truncate)

    monkeypatch.setattr(Handler, "_send_file", whole)
    (folder / f"{SHA256}.part").write_bytes(BODY[:1000])
    assert fetched(site, folder).read_bytes() == BODY


def test_refused_range(site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Handler, kind: str, body: bytes, *, truncate: bool) -> None:
        if self.headers.get("Range"):
            self._send(416, kind, b"")
        else:
            self._send(200, kind, body, truncate=truncate)

    monkeypatch.setattr(Handler, "_send_file", refuse)
    (folder / f"{SHA256}.part").write_bytes(b"of a longer file")
    assert fetched(site, folder).read_bytes() == BODY


def test_broken_off(site: Site, folder: Path) -> None:
    with site.failing(PATH, truncate=True, times=2):
        assert fetched(site, folder).read_bytes() == BODY
    assert site.asked == [PATH] * 3


def test_broken_off_for_good(site: Site, folder: Path) -> None:
    site.put(PATH, BODY[:1000])
    with site.failing(PATH, truncate=True), pytest.raises(FetchError, match=PATH):
        fetched(site, folder, size=1000)
    assert len(site.asked) == module.TRIES
    assert list(folder.iterdir()) == []


def test_wrong_hash(site: Site, folder: Path) -> None:
    with pytest.raises(FetchError, match=r"a\.whl: sha256 is not the locked 000"):
        fetched(site, folder, sha256="0" * 64)
    assert list(folder.iterdir()) == []


def test_too_much(site: Site, folder: Path) -> None:
    with pytest.raises(FetchError, match="more than the 1000 bytes locked"):
        fetched(site, folder, size=1000)


def test_absent(site: Site, folder: Path) -> None:
    with pytest.raises(FetchError, match="answered 404"):
        fetched(site, folder, path="/nothing")
    assert site.asked == ["/nothing"]


def test_a_kept_wheel_is_checked_again(site: Site, folder: Path) -> None:
    path = fetched(site, folder)
    path.write_bytes(b"somebody was here")
    assert fetched(site, folder).read_bytes() == BODY


@pytest.mark.parametrize("kind", [".part", ".whl"])
@pytest.mark.parametrize("what", ["link", "pipe", "huge"])
def test_what_is_no_part_of_it_is_removed(site: Site, folder: Path, what: str, kind: str) -> None:
    """Nothing is written through a link, and nothing endless is read."""
    path, other = folder / f"{SHA256}{kind}", folder.parent / "notes"
    other.write_bytes(BODY[:9])
    if what == "link":
        path.symlink_to(other)
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.touch()
        os.truncate(path, 1 << 42)
    found = fetched(site, folder)
    assert not found.is_symlink()
    assert found.read_bytes() == BODY
    assert other.read_bytes() == BODY[:9]


def test_a_file_of_unknown_size_has_a_limit(
    site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGEST", 1000)
    with pytest.raises(FetchError, match="more than 1000 bytes"):
        fetched(site, folder, size=0)


def test_stopped_in_the_middle(site: Site, folder: Path) -> None:
    calls = iter([None, None])

    def checkpoint() -> None:
        if next(calls, "end") == "end":
            raise ToolError("given up")

    with serving(site) as url:
        wanted = Download(url=url + PATH, file="a.whl", sha256=SHA256, size=len(BODY))
        with pytest.raises(ToolError, match="given up"):
            fetch(wanted, folder, Client(), checkpoint=checkpoint)
    assert (folder / f"{SHA256}.part").read_bytes() == BODY[: 2 * module.CHUNK]
    assert fetched(site, folder).read_bytes() == BODY


def test_full_disk(site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module._Transfer, "_receive", full)
    with pytest.raises(ToolError, match=f"{folder} can't be written: No space left") as caught:
        fetched(site, folder)
    assert caught.value.hint
    assert "METALOCK_CACHE_DIR" in caught.value.hint


@pytest.mark.parametrize("path", ["/nothing", PATH])
def test_no_credentials_in_messages(site: Site, folder: Path, path: str) -> None:
    site.put(PATH, BODY[:9])
    with serving(site) as host, site.failing(PATH, truncate=True):
        url = host.replace("//", "//me:secret@") + path
        wanted = Download(url=url, file="a.whl", sha256=SHA256, size=len(BODY))
        with pytest.raises(MetalockError) as caught:
            fetch(wanted, folder, Client(), delay=0)
    assert site.credentials
    assert "secret" not in str(caught.value)
    assert not any("secret" in str(file.read_bytes()) for file in folder.iterdir())
