"""Every binary of real wheels, read by us and by LIEF: the same facts, imports and exports."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import lief
import pytest

from integration.wheels import PLUGINS, TENSORFLOW_LINUX, TENSORFLOW_MAC, Wheel, members, read_member
from metalock.binaries import Binary, Format, LinkKind, Lookup

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.network

ORDINALS = {Lookup.SELF: 0, Lookup.EXECUTABLE: -1, Lookup.FLAT: -2, Lookup.COALESCED: -3}
KINDS = {
    LinkKind.NORMAL: "LOAD_DYLIB",
    LinkKind.WEAK: "LOAD_WEAK_DYLIB",
    LinkKind.REEXPORT: "REEXPORT_DYLIB",
    LinkKind.UPWARD: "LOAD_UPWARD_DYLIB",
    LinkKind.LAZY: "LAZY_LOAD_DYLIB",
}


def check_macho(ours: Binary, theirs: Any) -> None:
    assert str(theirs.header.cpu_type).rpartition(".")[2] == ours.architecture.upper()
    linked = [one for one in theirs.libraries if not str(one.command).endswith("ID_DYLIB")]
    assert [(one.name, str(one.command).rpartition(".")[2]) for one in linked] == [
        (one.name, KINDS[one.kind]) for one in ours.libraries
    ]
    own_name = [one.name for one in theirs.libraries if str(one.command).endswith("ID_DYLIB")]
    assert own_name == ([ours.name] if ours.name else [])
    assert tuple(one.path for one in theirs.rpaths) == ours.rpaths
    assert tuple(theirs.build_version.minos) == ours.floor
    libraries = [one.name for one in ours.libraries]
    wanted = {
        (
            one.name,
            libraries.index(one.library) + 1 if one.library else ORDINALS[one.lookup],
            one.weak,
        )
        for one in ours.imports or ()
    }
    bound, replaced = set(), set()
    for one in theirs.bindings:
        if str(getattr(one, "binding_class", "")) == "CLASS.WEAK":
            replaced.add((one.symbol.name, -3, False))
        else:
            bound.add((one.symbol.name, one.library_ordinal, bool(one.weak_import)))
    names = {name for name, _, _ in bound}
    assert wanted == bound | {one for one in replaced if one[0] not in names}
    # The symbol table may also name what nothing binds any more, and does not name as undefined
    # what is coalesced and the binary's own.
    undefined = {one.name for one in theirs.symbols if one.raw_type & 0x0F == 0x01}
    coalesced = {one.name for one in ours.imports or () if one.lookup is Lookup.COALESCED}
    own = {one.name for one in ours.exports}
    assert {name for name, _, _ in wanted} - undefined <= coalesced & own
    check_trie(ours, theirs)


def check_trie(ours: Binary, theirs: Any) -> None:
    exports = theirs.dyld_exports_trie or theirs.dyld_info
    listed = {one.symbol.name: one for one in exports.exports if one.has_symbol}
    found = {one.name: one for one in ours.exports}
    assert found.keys() == listed.keys()
    for name, one in found.items():
        flags = int(listed[name].flags)
        assert (bool(flags & 0x08), bool(flags & 0x04)) == (one.source is not None, one.weak)
        if one.source is not None and one.source.library:
            assert listed[name].alias_library.name == one.source.library
    some = list(found)[:: max(1, len(found) // 5000)]
    assert all(ours.exports.find(name) == found[name] for name in some)
    assert not any(ours.exports.find(name + "$") for name in some)


def check_elf(ours: Binary, theirs: Any) -> None:
    assert str(theirs.header.machine_type).rpartition(".")[2].lower() == ours.architecture
    assert tuple(theirs.libraries) == tuple(one.name for one in ours.libraries)
    entries = {str(one.tag).rpartition(".")[2]: one for one in theirs.dynamic_entries}
    assert (entries["SONAME"].name if "SONAME" in entries else None) == ours.name
    for tag, paths in (("RPATH", ours.rpaths), ("RUNPATH", ours.runpaths)):
        assert tuple(entries[tag].paths if tag in entries else ()) == paths
    needs = {
        (one.name, aux.name)
        for one in theirs.symbols_version_requirement
        for aux in one.get_auxiliary_symbols()
    }
    assert needs == {(one.library, one.version) for one in ours.needed_versions}
    named = [one for one in theirs.dynamic_symbols if one.name and int(one.binding) != 0]
    undefined = {(one.name, version_of(one), int(one.binding) == 2) for one in named if not one.shndx}
    assert undefined == {(one.name, one.version, one.weak) for one in ours.imports or ()}
    defined = {(one.name, version_of(one)) for one in named if one.shndx}
    assert defined == {(one.name, one.version) for one in ours.exports}
    names = sorted({one[0] for one in defined})
    some = names[:: max(1, len(names) // 5000)]
    assert all(ours.exports.find(name) for name in some)
    assert not any(ours.exports.find(name + "$") for name in some)


def version_of(symbol: Any) -> str | None:
    version = symbol.symbol_version
    if version is None or version.symbol_version_auxiliary is None:
        return None
    # LIEF gives the base definition too, which is the library's own name
    name = str(version.symbol_version_auxiliary.name)
    return None if version.value & 0x7FFF < 2 else name


def check(wheel: Path, name: str) -> None:
    ours = read_member(wheel, name, imports=True)
    data = zipfile.ZipFile(wheel).read(name)
    if ours.format is Format.ELF:
        check_elf(ours, lief.ELF.parse(data))
    else:
        fat = lief.MachO.parse(data)
        assert fat is not None
        check_macho(ours, fat.at(0))


@pytest.mark.parametrize("wheel", PLUGINS, ids=lambda one: f"{one.package}-{one.version}")
def test_plugins(wheel: Wheel) -> None:
    path = wheel.fetch()
    found = list(members(path))
    assert found
    for name in found:
        check(path, name)


SMALL = 50_000_000


@pytest.mark.slow
@pytest.mark.parametrize("wheel", [TENSORFLOW_MAC, TENSORFLOW_LINUX], ids=lambda one: one.package)
def test_all_of_tensorflow_but_the_biggest(wheel: Wheel) -> None:
    path = wheel.fetch()
    sizes = {one.filename: one.file_size for one in zipfile.ZipFile(path).infolist()}
    for name in members(path):
        if sizes[name] < SMALL:
            check(path, name)


@pytest.mark.slow
@pytest.mark.parametrize("wheel", [TENSORFLOW_MAC, TENSORFLOW_LINUX], ids=lambda one: one.package)
def test_the_biggest_library(wheel: Wheel) -> None:
    path = wheel.fetch()
    (name,) = [one for one in members(path) if "/libtensorflow_cc" in one]
    check(path, name)
