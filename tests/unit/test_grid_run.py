"""audit/grid_run: which wheels are read for a grid, and what is known of those that cannot be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import cast

import pytest
from audit_samples import facts
from samples import sha256

from metalock.adapters.index import IndexWheel, PackageIndex
from metalock.audit import grid_run
from metalock.audit.facts import WheelFacts
from metalock.audit.grid import GridVerdict, Pair
from metalock.audit.grid_run import choose_pairs, make_grid, read_pairs
from metalock.audit.wheel_cache import WheelLibrary
from metalock.errors import FetchError, MetalockError, NothingSelectedError, UsageError
from metalock.lock.model import PipPackage
from metalock.platforms import Platform
from metalock.progress import Reporter

MAC = Platform.OSX_ARM64


def offered(name: str, version: str, *, hashed: bool = True) -> IndexWheel:
    file = f"{name.replace('-', '_')}-{version}-cp39-cp39-macosx_12_0_arm64.whl"
    digest = sha256(file) if hashed else None
    return IndexWheel(file=file, url=f"url/{file}", sha256=digest, requires_python=None, yanked=False)


@dataclass
class Index:
    """The pages of an index."""

    pages: dict[str, list[IndexWheel]]

    def wheels(self, name: str) -> dict[str, IndexWheel]:
        return {wheel.file: wheel for wheel in self.pages.get(name, [])}


@dataclass
class Client:
    """A file server that states sizes."""

    asked: list[str] = field(default_factory=list)

    def content_length(self, url: str) -> int:
        self.asked.append(url)
        return 7


@dataclass
class Library:
    """Knows the facts of some wheels, and cannot read the others."""

    known: tuple[str, ...] = ()
    client: Client = field(default_factory=Client)
    wanted: list[PipPackage] = field(default_factory=list)

    def knows(self, package: PipPackage, platform: Platform) -> bool:
        assert platform is MAC
        return package.name in self.known

    def facts(
        self, packages: Iterable[PipPackage], platform: Platform
    ) -> Iterator[tuple[PipPackage, WheelFacts | MetalockError]]:
        assert platform is MAC
        for package in packages:
            self.wanted.append(package)
            if package.name in self.known:
                yield package, facts(package.name, package.version)
            else:
                yield package, FetchError("not there")


PAGES = {
    "tensorflow": [offered("tensorflow", "2.13.0"), offered("tensorflow", "2.5.0")],
    "tensorflow-macos": [offered("tensorflow-macos", "2.9.0")],
    "tensorflow-metal": [offered("tensorflow-metal", "1.0.0"), offered("tensorflow-metal", "0.5.0")],
}


def pairs_of(pages: dict[str, list[IndexWheel]], plugin: str = "tensorflow-metal") -> list[Pair]:
    return choose_pairs(plugin, MAC, cast("PackageIndex", Index(pages)))


def read(grid: list[Pair], library: Library) -> dict[str, WheelFacts | MetalockError]:
    return read_pairs(grid, MAC, cast("WheelLibrary", library))


def test_every_tensorflow_meets_every_release_of_the_plugin() -> None:
    found = pairs_of(PAGES, "tensorflow_metal")
    assert [(str(p.tensorflow.version), str(p.plugin.version), p.python) for p in found] == [
        ("2.9.0", "0.5.0", "cp39"),
        ("2.9.0", "1.0.0", "cp39"),
        ("2.13.0", "0.5.0", "cp39"),
        ("2.13.0", "1.0.0", "cp39"),
    ]


def test_what_is_no_plugin_is_refused() -> None:
    with pytest.raises(UsageError, match='did you mean "tensorflow-metal"'):
        pairs_of(PAGES, "tensorflow-metl")


def test_a_size_is_asked_for_only_where_a_wheel_is_fetched() -> None:
    library = Library(known=("tensorflow", "tensorflow-macos"))
    grid = pairs_of(PAGES)
    found = read(grid, library)
    sizes = {f"{package.name} {package.version}": package.size for package in library.wanted}
    assert sizes == {
        "tensorflow 2.13.0": 0,
        "tensorflow-macos 2.9.0": 0,
        "tensorflow-metal 0.5.0": 7,
        "tensorflow-metal 1.0.0": 7,
    }
    assert len(library.client.asked) == 2
    assert {file for file, answer in found.items() if isinstance(answer, WheelFacts)} == {
        "tensorflow-2.13.0-cp39-cp39-macosx_12_0_arm64.whl",
        "tensorflow_macos-2.9.0-cp39-cp39-macosx_12_0_arm64.whl",
    }


def test_a_wheel_without_a_hash_is_not_read() -> None:
    pages = {**PAGES, "tensorflow": [offered("tensorflow", "2.13.0", hashed=False)]}
    grid = pairs_of(pages)
    library = Library()
    with pytest.raises(FetchError, match=r"tensorflow-2\.13\.0-.* states no sha256"):
        read(grid, library)
    assert library.wanted == []


class Notes(Reporter):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


def test_what_could_not_be_read_is_noted_and_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library(known=("tensorflow", "tensorflow-macos"))
    monkeypatch.setattr(grid_run, "PackageIndex", lambda *_, **__: Index(PAGES))
    monkeypatch.setattr(grid_run, "WheelLibrary", lambda *_, **__: library)
    notes = Notes()
    entries = make_grid("tensorflow-metal", MAC, notes)
    assert {entry.verdict for entry in entries} == {GridVerdict.UNREADABLE}
    assert notes.texts == [
        f"tensorflow_metal-{version}-cp39-cp39-macosx_12_0_arm64.whl: not there"
        for version in ("0.5.0", "1.0.0")
    ]
    with pytest.raises(NothingSelectedError, match="nothing to compare"):
        make_grid("tensorflow-metal", MAC, notes, only=lambda _: False)
