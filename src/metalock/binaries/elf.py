"""ELF: program headers and the dynamic section, and from them a `Binary` (ELF gABI, LSB).

Sections are not looked at: the dynamic linker does not need them, and `strip` may drop them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING

from metalock.binaries.elf_exports import (
    BIND_WEAK,
    INDEX_MASK,
    SECTION_UNDEFINED,
    SYMBOL,
    VERSION_INDEX,
    ElfExports,
    GnuHashExports,
    SysvHashExports,
    measure_gnu_hash,
    measure_sysv_hash,
)
from metalock.binaries.model import (
    Binary,
    FileType,
    Format,
    Import,
    InvalidBinary,
    Library,
    Lookup,
    NeededVersion,
    Version,
)
from metalock.binaries.versions import defined_versions, needed_versions
from metalock.binaries.view import Image, Names, View

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAGIC = b"\x7fELF"
_HEADER = Struct("<4x2B10x2H4xQQ14x2H4x")
_CLASS_64, _LITTLE_ENDIAN = 2, 1
_PROGRAM_HEADER = Struct("<2I2Q8xQ16x")
_LOAD, _DYNAMIC, _EXECUTABLE = 1, 2, 0x1
_MACHINES = {3: "i386", 40: "arm", 62: "x86_64", 183: "arm64"}
_FILE_TYPES = {2: FileType.EXECUTABLE, 3: FileType.LIBRARY}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Segment:
    kind: int
    executable: bool
    offset: int
    address: int
    size: int


def _header(start: View) -> tuple[str, FileType, range, int]:
    """Give machine, file type, and the place and number of the program headers."""
    width, order, file_type, machine, _, table_at, size, count = start.unpack(_HEADER)
    if (width, order) != (_CLASS_64, _LITTLE_ENDIAN):
        raise start.fail("only 64-bit little-endian ELF files are read", len(MAGIC))
    if count and size != _PROGRAM_HEADER.size:
        raise start.fail(f"program headers of {size} bytes", 54)
    table = range(table_at, table_at + count * _PROGRAM_HEADER.size)
    return (
        _MACHINES.get(machine, f"machine {machine}"),
        _FILE_TYPES.get(file_type, FileType.OTHER),
        table,
        count,
    )


def _segments(table: View) -> list[_Segment]:
    return [
        _Segment(
            kind=kind,
            executable=bool(flags & _EXECUTABLE),
            offset=offset,
            address=address,
            size=size,
        )
        for kind, flags, offset, address, size in table.records(_PROGRAM_HEADER)
    ]


def needed(head: View) -> list[range] | None:
    """List the ranges that `read` may look at, or None where only the whole file will do.

    That the dynamic tables lie beside the code is true only of the old layout with a first
    segment that is read and executed (`ld -z noseparate-code`).
    """
    _, _, table, _ = _header(head)
    if table.stop > len(head):
        return None
    segments = _segments(head.part(table.start, len(table), "program headers"))
    loads = [one for one in segments if one.kind == _LOAD]
    if not loads or loads[0].executable:
        return None
    kept = [one for one in segments if one.kind in {_LOAD, _DYNAMIC} and not one.executable]
    return [
        range(table.stop),
        *(range(one.offset, one.offset + one.size) for one in kept),
    ]


# DT_* of elf.h
_NEEDED, _PLT_SIZE, _HASH, _STRINGS, _SYMBOLS, _RELA, _RELA_SIZE = 1, 2, 4, 5, 6, 7, 8
_STRINGS_SIZE, _SONAME, _RPATH, _REL, _REL_SIZE, _PLT_KIND, _PLT = 10, 14, 15, 17, 18, 20, 23
_RUNPATH, _GNU_HASH, _VERSYM = 29, 0x6FFF_FEF5, 0x6FFF_FFF0
_VERDEF, _VERDEF_COUNT, _VERNEED, _VERNEED_COUNT = range(0x6FFF_FFFC, 0x7000_0000)
_DYNAMIC_ENTRY = Struct("<qQ")
_RELOCATIONS = {_RELA: Struct("<12xI8x"), _REL: Struct("<12xI")}


class _Dynamic:
    """The dynamic section, with addresses resolved through the loaded segments."""

    def __init__(self, image: Image, segments: Iterable[_Segment]) -> None:
        self._image = image
        self._loads = [one for one in segments if one.kind == _LOAD]
        self._entries: dict[int, list[int]] = {}
        for one in segments:
            if one.kind == _DYNAMIC:
                view = image.part(one.offset, one.size, "dynamic section")
                for tag, value in view.records(_DYNAMIC_ENTRY):
                    if not tag:
                        break
                    self._entries.setdefault(tag, []).append(value)
        self.strings = self.table(_STRINGS, self.number(_STRINGS_SIZE), "dynamic strings")
        self._names = Names(self.strings)

    def __contains__(self, tag: int) -> bool:
        return tag in self._entries

    def number(self, tag: int) -> int:
        return self._entries.get(tag, [0])[-1]

    def texts(self, tag: int) -> tuple[str, ...]:
        return tuple(self._names[value] for value in self._entries.get(tag, ()))

    def paths(self, tag: int) -> tuple[str, ...]:
        return tuple(path for text in self.texts(tag) for path in text.split(":") if path)

    def table(self, tag: int, size: int | None, name: str) -> View:
        """Find a table; without a size, all that its segment holds from there on."""
        if tag not in self or size == 0:
            return View(b"", 0, 0, 0, name)
        address = self.number(tag)
        for one in self._loads:
            inside = address - one.address
            if 0 <= inside < one.size:
                space = one.size - inside
                if size is not None and size > space:
                    break
                return self._image.part(one.offset + inside, size or space, name)
        raise InvalidBinary(f"{name} at address {address:#x} lies outside the loaded segments")


def read(image: Image, *, imports: bool) -> Binary:
    """Read a 64-bit little-endian binary."""
    start = image.part(0, _HEADER.size, "ELF header")
    machine, file_type, table, _ = _header(start)
    segments = _segments(image.part(table.start, len(table), "program headers"))
    dynamic = _Dynamic(image, segments)
    names = Names(dynamic.strings)
    needs = needed_versions(
        dynamic.table(_VERNEED, None, "needed versions"), dynamic.number(_VERNEED_COUNT), names
    )
    defined = defined_versions(
        dynamic.table(_VERDEF, None, "defined versions"), dynamic.number(_VERDEF_COUNT), names
    )
    return Binary(
        format=Format.ELF,
        architecture=machine,
        file_type=file_type,
        system="linux",
        floor=_glibc(needs.values()),
        name=next(iter(dynamic.texts(_SONAME)), None),
        libraries=tuple(Library(name=name) for name in dynamic.texts(_NEEDED)),
        rpaths=dynamic.paths(_RPATH),
        runpaths=dynamic.paths(_RUNPATH),
        needed_versions=tuple(sorted(set(needs.values()))),
        defined_versions=tuple(defined[index] for index in sorted(defined)),
        imports=_imports(dynamic, needs) if imports else None,
        exports=_exports(dynamic, defined),
    )


def _glibc(needs: Iterable[NeededVersion]) -> Version | None:
    numbers = (re.fullmatch(r"GLIBC_(\d+(?:\.\d+)*)", one.version) for one in needs)
    return max(
        (tuple(int(part) for part in found[1].split(".")) for found in numbers if found),
        default=None,
    )


def _exports(dynamic: _Dynamic, versions: dict[int, str]) -> ElfExports:
    """Without a hash table the dynamic linker finds nothing, and neither does the reader."""
    gnu = _GNU_HASH in dynamic
    tag, measure = (_GNU_HASH, measure_gnu_hash) if gnu else (_HASH, measure_sysv_hash)
    rest = dynamic.table(tag, None, "hash table")
    size, count = measure(rest) if len(rest) else (0, 0)
    kind = GnuHashExports if gnu else SysvHashExports
    return kind(
        table=rest.part(0, size, "hash table"),
        symbols=dynamic.table(_SYMBOLS, count * SYMBOL.size, "dynamic symbols"),
        strings=dynamic.strings,
        indices=dynamic.table(_VERSYM, count * VERSION_INDEX.size, "version indices"),
        versions=versions,
    )


def _bound(dynamic: _Dynamic) -> Iterator[int]:
    """Give the symbols that relocations name: those are what the dynamic linker looks up."""
    plt = dynamic.number(_PLT_KIND)
    for kind, tag, size in (
        (_RELA, _RELA, _RELA_SIZE),
        (_REL, _REL, _REL_SIZE),
        (_REL if plt == _REL else _RELA, _PLT, _PLT_SIZE),
    ):
        table = dynamic.table(tag, dynamic.number(size), "relocations")
        yield from {number for (number,) in table.records(_RELOCATIONS[kind])}


def _imports(dynamic: _Dynamic, needs: dict[int, NeededVersion]) -> tuple[Import, ...]:
    symbols = dynamic.table(_SYMBOLS, None, "dynamic symbols")
    indices = dynamic.table(_VERSYM, None, "version indices")
    names = Names(dynamic.strings)
    found = set()
    for number in set(_bound(dynamic)) - {0}:
        name_at, info, _, section, _, _ = symbols.unpack(SYMBOL, number * SYMBOL.size)
        if section != SECTION_UNDEFINED:
            continue
        index = 0
        if len(indices):
            (index,) = indices.unpack(VERSION_INDEX, number * VERSION_INDEX.size)
        version = needs.get(index & INDEX_MASK)
        found.add(
            Import(
                name=names[name_at],
                lookup=Lookup.FLAT,
                library=version.library if version else None,
                version=version.version if version else None,
                weak=info >> 4 == BIND_WEAK,
            )
        )
    return tuple(sorted(found, key=lambda one: (one.name, one.version or "", one.weak)))
