"""ELF: program headers and the dynamic section, and from them a `Binary` (ELF gABI, LSB).

Sections are not read: the dynamic linker does not need them, and `strip` may drop them.
"""

from __future__ import annotations

import re
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
from metalock.binaries.elf_header import (
    DYNAMIC,
    HEADER,
    LOAD,
    Segment,
    check_loadable,
    header,
    segments_of,
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


def needed(head: View) -> list[range] | None:
    """List the ranges that `read` may look at, or None where only the whole file will do.

    Only in the old layout are the dynamic tables next to the code, in a first
    segment that is read and executed (`ld -z noseparate-code`).
    """
    _, _, table = header(head)
    if table.stop > len(head):
        return None
    segments = segments_of(head.part(table.start, len(table), "program headers"))
    loads = [one for one in segments if one.kind == LOAD]
    if not loads or loads[0].executable:
        return None
    kept = [one for one in segments if one.kind in {LOAD, DYNAMIC} and not one.executable]
    return [
        range(table.stop),
        *(range(one.offset, one.offset + one.size) for one in kept),
    ]


# DT_* of elf.h
_NEEDED, _PLT_SIZE, _HASH, _STRINGS, _SYMBOLS, _RELA, _RELA_SIZE = 1, 2, 4, 5, 6, 7, 8
_STRINGS_SIZE, _SONAME, _RPATH, _REL, _REL_SIZE, _PLT_KIND, _PLT = 10, 14, 15, 17, 18, 20, 23
_RUNPATH, _GNU_HASH, _VERSYM, _FLAGS_1 = 29, 0x6FFF_FEF5, 0x6FFF_FFF0, 0x6FFF_FFFB
_FILTER = 0x7FFF_FFFF
"""The library that has the symbols in place of this one; ld.so has to find it."""
_NO_OPEN, _PIE = 0x40, 0x0800_0000  # DF_1_*
_VERDEF, _VERDEF_COUNT, _VERNEED, _VERNEED_COUNT = range(0x6FFF_FFFC, 0x7000_0000)
_DYNAMIC_ENTRY = Struct("<qQ")
_RELOCATIONS = {_RELA: 24, _REL: 16}
_WORDS, _SYMBOL_WORD = 4, 3


class _Dynamic:
    """The dynamic section, with addresses resolved through the loaded segments."""

    def __init__(self, image: Image, segments: Iterable[Segment]) -> None:
        self._image = image
        self._loads = [one for one in segments if one.kind == LOAD]
        self._entries: dict[int, list[int]] = {}
        for one in segments:
            if one.kind == DYNAMIC:
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
        raise InvalidBinary(f"{name} at address {address:#x} is outside the loaded segments")


def read(image: Image, size: int | None, *, imports: bool) -> Binary:
    """Read a 64-bit little-endian binary; `size` is that of the file."""
    start = image.part(0, HEADER.size, "ELF header")
    machine, file_type, table = header(start)
    segments = segments_of(image.part(table.start, len(table), "program headers"))
    if file_type is FileType.LIBRARY:
        check_loadable(segments, size)
    dynamic = _Dynamic(image, segments)
    if dynamic.number(_FLAGS_1) & (_NO_OPEN | _PIE):
        file_type = FileType.EXECUTABLE
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
        libraries=tuple(Library(name=name) for tag in (_NEEDED, _FILTER) for name in dynamic.texts(tag)),
        rpaths=dynamic.paths(_RPATH),
        runpaths=dynamic.paths(_RUNPATH),
        needed_versions=tuple(sorted(set(needs.values()))),
        defined_versions=tuple(defined[index] for index in sorted(defined)),
        imports=_imports(dynamic, needs) if imports else None,
        exports=_exports(dynamic, defined),
    )


_RELATIVE_RELOCATIONS = {"GLIBC_ABI_DT_RELR": (2, 36)}


def glibc_version(version: str) -> Version | None:
    """Return the release of glibc that brought a symbol version; None for the version of another library.

    >>> glibc_version("GLIBC_2.34"), glibc_version("GLIBCXX_3.4"), glibc_version("GLIBC_ABI_DT_RELR")
    ((2, 34), None, (2, 36))
    """
    found = re.fullmatch(r"GLIBC_(\d{1,4}(?:\.\d{1,4}){1,3})", version)
    if found is None:
        return _RELATIVE_RELOCATIONS.get(version)
    return tuple(int(part) for part in found[1].split("."))


def _glibc(needs: Iterable[NeededVersion]) -> Version | None:
    numbers = (glibc_version(one.version) for one in needs if not one.weak)
    return max((found for found in numbers if found), default=None)


def _exports(dynamic: _Dynamic, versions: dict[int, str]) -> ElfExports:
    """Return the exports; without a hash table the dynamic linker finds nothing, and neither does this."""
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


def _bound(dynamic: _Dynamic) -> Iterator[set[int]]:
    """Give the symbols that relocations name: those are what the dynamic linker looks up.

    The upper half of `r_info` is the symbol; of words of four bytes, that is the fourth of each relocation.
    """
    plt = dynamic.number(_PLT_KIND)
    for kind, tag, size in (
        (_RELA, _RELA, _RELA_SIZE),
        (_REL, _REL, _REL_SIZE),
        (_REL if plt == _REL else _RELA, _PLT, _PLT_SIZE),
    ):
        table = dynamic.table(tag, dynamic.number(size), "relocations")
        record = _RELOCATIONS[kind]
        raw = table.raw()[: len(table) - len(table) % record]
        yield set(memoryview(raw).cast("I")[_SYMBOL_WORD :: record // _WORDS])


def _imports(dynamic: _Dynamic, needs: dict[int, NeededVersion]) -> tuple[Import, ...]:
    symbols = dynamic.table(_SYMBOLS, None, "dynamic symbols")
    indices = dynamic.table(_VERSYM, None, "version indices")
    names = Names(dynamic.strings)
    found = set()
    for number in set[int]().union(*_bound(dynamic)) - {0}:
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
