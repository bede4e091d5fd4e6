"""The library at work: from an index on loopback to facts."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import IO

import pytest
from make_samples import MACHO
from make_wheels import METADATA, make_wheel

from integration.index import Wheel, index_files
from integration.servers import Site, serving
from metalock.adapters import cache as cache_module
from metalock.adapters.cache import Cache
from metalock.adapters.index import PackageIndex
from metalock.audit import wheel_cache as wheel_cache_module
from metalock.audit.facts import WheelFacts
from metalock.audit.wheel_cache import WheelLibrary
from metalock.errors import FetchError, MetalockError, ToolError, UnreadableWheelError
from metalock.lock.model import PipPackage
from metalock.platforms import Platform
from metalock.progress import Reporter

MAC = Platform.OSX_ARM64


def wheel(name: str, body: bytes | None = None) -> Wheel:
    if body is None:
        metadata = METADATA.replace("sample", name)
        body = make_wheel({f"{name}.so": MACHO["arm64-chained"]}, name=name, metadata=metadata)
    return Wheel(file=f"{name}-1.0-cp311-cp311-macosx_12_0_arm64.whl", body=body, metadata=b"")


def package(wheel: Wheel) -> PipPackage:
    return PipPackage(
        name=wheel.project,
        version="1.0",
        file=wheel.file,
        sha256=hashlib.sha256(wheel.body).hexdigest(),
        size=len(wheel.body),
    )


WHEELS = [wheel(name) for name in ("one", "two", "three", "four", "five", "six")]


def facts(
    folder: Path, site: Site, wheels: list[Wheel], reporter: Reporter | None = None, *, keep: bool = False
) -> dict[str, WheelFacts | MetalockError]:
    with serving(site) as url:
        library = WheelLibrary(
            PackageIndex(f"{url}/simple"), Cache(folder), reporter=reporter, jobs=3, keep=keep
        )
        found = list(library.facts(map(package, wheels), MAC))
    assert len(found) == len({package.sha256 for package, _ in found})
    return {package.name: answer for package, answer in found}


@pytest.fixture
def site() -> Site:
    return Site(files=dict(index_files(WHEELS)))


def downloads(site: Site) -> list[str]:
    return [path for path in site.asked if path.endswith(".whl")]


def test_from_nothing_then_from_the_cache(site: Site, tmp_path: Path) -> None:
    found = facts(tmp_path, site, [*WHEELS, *WHEELS])
    assert sorted(found) == sorted(one.project for one in WHEELS)
    for name, one in found.items():
        assert isinstance(one, WheelFacts)
        assert one.binaries[f"{name}.so"].exports.find("_TF_NewStatus")
    assert len(downloads(site)) == len(WHEELS)
    assert list((tmp_path / "wheels").iterdir()) == []
    site.forget()
    assert sorted(facts(tmp_path, site, WHEELS)) == sorted(found)
    assert site.asked == []


def test_each_fault_is_of_its_own_wheel(site: Site, tmp_path: Path) -> None:
    hostile = wheel("hostile", make_wheel({"../x": b""}, name="hostile"))
    swapped = wheel("swapped")
    absent = wheel("absent")
    site.files |= index_files([*WHEELS, hostile, swapped])
    with site.failing("swapped.*whl", garbage=b"x" * len(swapped.body)):
        found = facts(tmp_path, site, [hostile, swapped, absent, *WHEELS])
    assert isinstance(found["hostile"], UnreadableWheelError)
    assert "sha256 is not" in str(found["swapped"])
    assert isinstance(found["absent"], FetchError)
    assert sum(isinstance(one, WheelFacts) for one in found.values()) == len(WHEELS)
    site.forget()
    assert isinstance(facts(tmp_path, site, [hostile])["hostile"], UnreadableWheelError)
    assert len(downloads(site)) == 1, "nothing is known of it, so it is read again"


def test_another_file_of_that_name(site: Site, tmp_path: Path) -> None:
    other = wheel("one", make_wheel({}, name="one"))
    assert "another file of that name" in str(facts(tmp_path, site, [other])["one"])
    assert downloads(site) == []


@pytest.mark.parametrize("damage", ["head", "cut", "format"])
def test_damaged_facts_are_made_again(site: Site, tmp_path: Path, damage: str) -> None:
    facts(tmp_path, site, WHEELS[:1])
    (entry,) = (tmp_path / "facts").iterdir()
    data = bytearray(entry.read_bytes())
    if damage == "cut":
        del data[-1]
    else:
        data[60 if damage == "head" else 8] ^= 1
    entry.write_bytes(data)
    site.forget()
    assert isinstance(facts(tmp_path, site, WHEELS[:1])["one"], WheelFacts)
    assert len(downloads(site)) == 1


def test_facts_are_bound_to_their_wheel(site: Site, tmp_path: Path) -> None:
    """Those of another wheel or platform are not used, whatever name they are stored under."""
    facts(tmp_path, site, WHEELS[:2])
    one, two = (tmp_path / "facts" / f"{package(wheel).sha256}-{MAC}" for wheel in WHEELS[:2])
    content = two.read_bytes()
    two.rename(one)
    site.forget()
    assert facts(tmp_path, site, WHEELS[:1])["one"].name == "one"  # type: ignore[union-attr]
    assert len(downloads(site)) == 1
    seal = len(content) - cache_module._SEAL.size
    Cache(tmp_path).write(one.name, lambda stream: stream.write(content[:seal]))
    assert facts(tmp_path, site, WHEELS[:1])["one"].name == "one"  # type: ignore[union-attr]
    assert len(downloads(site)) == 2
    one.rename(one.with_name(one.name.replace(MAC, Platform.LINUX_64)))
    with serving(site) as url:
        library = WheelLibrary(PackageIndex(f"{url}/simple"), Cache(tmp_path))
        (_, found), *_ = library.facts([package(WHEELS[0])], Platform.LINUX_64)
    assert isinstance(found, WheelFacts)
    assert not found.binaries, "those of macOS are not Linux's"


def test_damaged_tables_are_reported_and_made_again(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts(tmp_path, site, WHEELS[:1])
    (entry,) = (tmp_path / "facts").iterdir()
    data = bytearray(entry.read_bytes())
    data[-1 - cache_module._SEAL.size] ^= 1
    entry.write_bytes(data)
    monkeypatch.setattr(cache_module, "_MAPPED", 0)  # as a large entry, which is not read whole
    one = facts(tmp_path, site, WHEELS[:1])["one"]
    assert isinstance(one, WheelFacts)
    with pytest.raises(ToolError, match="its entry in the cache is damaged"):
        _ = one.binaries["one.so"]
    again = facts(tmp_path, site, WHEELS[:1])["one"]
    assert isinstance(again, WheelFacts)
    assert again.binaries["one.so"].architecture == "arm64"


def test_two_runs_at_once_read_each_wheel_once(site: Site, tmp_path: Path) -> None:
    found: list[object] = []
    with serving(site) as url:

        def run() -> None:
            library = WheelLibrary(PackageIndex(f"{url}/simple"), Cache(tmp_path), jobs=3)
            found.extend(answer for _, answer in library.facts(map(package, WHEELS), MAC))

        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [type(one) for one in found] == [WheelFacts] * len(WHEELS) * 2
    assert len(downloads(site)) == len(WHEELS)


def test_given_up_in_the_middle(site: Site, tmp_path: Path) -> None:
    """What was read stays known."""
    with serving(site) as url:
        library = WheelLibrary(PackageIndex(f"{url}/simple"), Cache(tmp_path), jobs=1)
        answers = library.facts(map(package, WHEELS), MAC)
        next(answers)
        answers.close()  # type: ignore[attr-defined]
    known = len(list((tmp_path / "facts").iterdir()))
    assert known
    site.forget()
    assert len(facts(tmp_path, site, WHEELS)) == len(WHEELS)
    assert len(downloads(site)) == len(WHEELS) - known


def test_stopped_while_a_wheel_is_read(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a giant is, for many seconds."""
    reading, go = threading.Event(), threading.Event()

    def read_slowly(file: IO[bytes], *_: object, **__: object) -> None:
        file.read(1)
        reading.set()
        go.wait(20)
        file.seek(0)
        while file.read(1 << 20):
            file.seek(0)

    monkeypatch.setattr(wheel_cache_module, "read_wheel", read_slowly)
    with serving(site) as url:
        library = WheelLibrary(PackageIndex(f"{url}/simple"), Cache(tmp_path))
        thread = threading.Thread(target=lambda: list(library.facts([package(WHEELS[0])], MAC)))
        thread.start()
        assert reading.wait(20)
        library._stop.set()
        go.set()
        thread.join(5)
        assert not thread.is_alive()


def test_wheels_may_be_kept(site: Site, tmp_path: Path) -> None:
    facts(tmp_path, site, WHEELS[:1], keep=True)
    (kept,) = (tmp_path / "wheels").iterdir()
    assert kept.read_bytes() == WHEELS[0].body


def test_progress(site: Site, tmp_path: Path) -> None:
    reported = []

    class Listening(Reporter):
        def start(self, label: str, total: int) -> None:
            reported.append(f"{label} {total}")

        def advance(self, item: str, outcome: str = "") -> None:
            reported.append(f"{item}: {outcome}")

        def finish(self) -> None:
            reported.append("end")

    facts(tmp_path, site, WHEELS[:1], Listening())
    assert reported == ["reading wheels 1", f"{WHEELS[0].file}: read", "end"]
