"""Exports of an ELF library: its hash tables, as the dynamic linker uses them.

Source: ELF gABI "Hash Table" for `DT_HASH`; for `DT_GNU_HASH` and for versions, what
binutils writes and glibc's `do_lookup_x` and `check_match` (`elf/dl-lookup.c`) read.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING

from metalock.binaries.model import Export, ExportKind, Exports, Import
from metalock.binaries.view import Names, View, encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SYMBOL = Struct("<IBBHQQ")  # Elf64_Sym
VERSION_INDEX = Struct("<H")
INDEX_MASK, _HIDDEN = 0x7FFF, 0x8000
BIND_LOCAL, BIND_WEAK = 0, 2
SECTION_UNDEFINED, _SECTION_ABSOLUTE = 0, 0xFFF1
_TYPE_TLS = 6
# Versions of a library are numbered from 2: below are local and unversioned symbols. glibc takes
# the first version, 2, as a match for a reference without one, for the sake of old binaries.
_FIRST_VERSION = 2
_WORD = Struct("<I")
_WORDS_32 = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfExports(Exports):
    """Symbols with their versions; a subclass finds the candidates for a name."""

    table: View
    symbols: View
    strings: View
    indices: View
    """`DT_VERSYM`, empty where the library has no versions."""
    versions: Mapping[int, str]

    @abstractmethod
    def candidates(self, name: bytes) -> Iterator[int]:
        """Follow the hash chain: numbers of symbols that may have this name."""

    @abstractmethod
    def first(self) -> int:
        """Give the number of the first symbol that the hash table holds."""

    def find(self, name: str) -> Export | None:
        """Prefer the default version, as the link editor would."""
        found = list(self._matches(name))
        return next((one for one in found if one.default), found[0] if found else None)

    def provides(self, wanted: Import) -> bool:
        """Match versions as glibc does."""
        found = list(self._matches(wanted.name))
        if wanted.version is None:
            if any(one.version in {None, self.versions.get(_FIRST_VERSION)} for one in found):
                return True
            return sum(one.default for one in found) == 1
        return any(one.version == wanted.version or (one.version is None and one.default) for one in found)

    def __iter__(self) -> Iterator[Export]:
        """Go through the symbols in the order of the file."""
        names = Names(self.strings)
        for number in range(self.first(), len(self.symbols) // SYMBOL.size):
            name_at, info, _, section, _, _ = self.symbols.unpack(SYMBOL, number * SYMBOL.size)
            if section != SECTION_UNDEFINED and info >> 4 != BIND_LOCAL:
                yield self._export(names[name_at], number)

    def pieces(self) -> dict[str, View]:
        """Give the tables as they are in the file."""
        return {
            "hash": self.table,
            "symbols": self.symbols,
            "strings": self.strings,
            "indices": self.indices,
        }

    def _matches(self, name: str) -> Iterator[Export]:
        wanted = encode(name) + b"\0"
        strings = self.strings
        for number in self.candidates(wanted[:-1]):
            name_at, info, _, section, _, _ = self.symbols.unpack(SYMBOL, number * SYMBOL.size)
            start = strings.start + name_at
            same = name_at + len(wanted) <= len(strings)
            if not same or strings.buffer[start : start + len(wanted)] != wanted:
                continue
            if section != SECTION_UNDEFINED and info >> 4 != BIND_LOCAL:
                yield self._export(name, number)

    def _export(self, name: str, number: int) -> Export:
        _, info, _, section, _, _ = self.symbols.unpack(SYMBOL, number * SYMBOL.size)
        index = 0
        if len(self.indices):
            (index,) = self.indices.unpack(VERSION_INDEX, number * VERSION_INDEX.size)
        kind = ExportKind.ABSOLUTE if section == _SECTION_ABSOLUTE else ExportKind.REGULAR
        return Export(
            name=name,
            kind=ExportKind.THREAD_LOCAL if info & 0xF == _TYPE_TLS else kind,
            weak=info >> 4 == BIND_WEAK,
            version=self.versions.get(index & INDEX_MASK),
            default=not index & _HIDDEN,
        )


_GNU_HEADER = Struct("<4I")
_BLOOM = Struct("<Q")
_BLOOM_BITS = 64


def gnu_hash(name: bytes) -> int:
    """Hash as DJB did: `h * 33 + c`, from 5381."""
    value = 5381
    for byte in name:
        value = (value * 33 + byte) & _WORDS_32
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class GnuHashExports(ElfExports):
    """`DT_GNU_HASH`: header, Bloom filter, buckets, and one chain word for each symbol."""

    def candidates(self, name: bytes) -> Iterator[int]:
        """Ask the filter, then compare the hashes (all bits but the last) along the chain."""
        buckets, first, words, shift = self.table.unpack(_GNU_HEADER)
        if not buckets or not words:
            return
        value = gnu_hash(name)
        word_at = _GNU_HEADER.size + value // _BLOOM_BITS % words * _BLOOM.size
        (word,) = self.table.unpack(_BLOOM, word_at)
        if not word >> value % _BLOOM_BITS & word >> (value >> shift) % _BLOOM_BITS & 1:
            return
        buckets_at = _GNU_HEADER.size + words * _BLOOM.size
        (number,) = self.table.unpack(_WORD, buckets_at + value % buckets * _WORD.size)
        chain_at = buckets_at + buckets * _WORD.size
        while number >= first:
            (found,) = self.table.unpack(_WORD, chain_at + (number - first) * _WORD.size)
            if found | 1 == value | 1:
                yield number
            if found & 1:
                return
            number += 1

    def first(self) -> int:
        """Return the first number after the undefined symbols."""
        first: int = self.table.unpack(_GNU_HEADER)[1]
        return first


def measure_gnu_hash(rest: View) -> tuple[int, int]:
    """Find the size of the table, and how many symbols there are: neither is written down."""
    buckets, first, words, _ = rest.unpack(_GNU_HEADER)
    buckets_at = _GNU_HEADER.size + words * _BLOOM.size
    chain_at = buckets_at + buckets * _WORD.size
    heads = rest.part(buckets_at, buckets * _WORD.size, "buckets")
    last = max((head for (head,) in heads.records(_WORD)), default=0)
    if last < first:
        return chain_at, first
    tail = rest.rest(chain_at + (last - first) * _WORD.size, "hash chain")
    for count, (word,) in enumerate(tail.records(_WORD), last + 1):
        if word & 1:
            return chain_at + (count - first) * _WORD.size, count
    raise tail.fail("has no end")


_SYSV_HEADER = Struct("<2I")


def sysv_hash(name: bytes) -> int:
    """Hash as the gABI's `elf_hash` does."""
    value = 0
    for byte in name:
        value = (value << 4) + byte
        value = (value ^ (value >> 24 & 0xF0)) & 0x0FFF_FFFF
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class SysvHashExports(ElfExports):
    """`DT_HASH`: counts, buckets, and one chain word for every symbol."""

    def candidates(self, name: bytes) -> Iterator[int]:
        """Follow the chain, for as many steps as there are symbols."""
        if not len(self.table):
            return
        buckets, chains = self.table.unpack(_SYSV_HEADER)
        at = _SYSV_HEADER.size
        position = sysv_hash(name) % buckets if buckets else 0
        for _ in range(chains):
            (number,) = self.table.unpack(_WORD, at + position * _WORD.size)
            if not number:
                return
            yield number
            position = buckets + number

    def first(self) -> int:
        """Skip the null symbol."""
        return 1


def measure_sysv_hash(rest: View) -> tuple[int, int]:
    """Find the size of the table, and how many symbols there are."""
    buckets, chains = rest.unpack(_SYSV_HEADER)
    return _SYSV_HEADER.size + (buckets + chains) * _WORD.size, chains
