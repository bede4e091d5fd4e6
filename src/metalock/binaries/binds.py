"""What dyld binds: the imports of a Mach-O binary, from the table that dyld itself reads.

The table of a modern binary is that of its chained fixups, of an older one the bind opcodes.
The undefined entries of the symbol table are the last resort, as they are dyld's: they name
symbols that nothing binds any more, do not distinguish a coalesced lookup from a two-level one, and their
names are strewn over a string table that is hundreds of megabytes long in TensorFlow.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from metalock.binaries.model import Import, InvalidBinary, Lookup
from metalock.binaries.view import Names, View, decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# BIND_SPECIAL_DYLIB_* of mach-o/loader.h
_COALESCED = -3
_SPECIAL = {
    0: Lookup.SELF,
    -1: Lookup.EXECUTABLE,
    -2: Lookup.FLAT,
    _COALESCED: Lookup.COALESCED,
}


def imported(name: str, ordinal: int, libraries: tuple[str, ...], *, weak: bool = False) -> Import | None:
    """Resolve a library ordinal, as far as it means anything."""
    if ordinal in _SPECIAL:
        return Import(name=name, lookup=_SPECIAL[ordinal], weak=weak)
    if 0 < ordinal <= len(libraries):
        return Import(name=name, lookup=Lookup.LIBRARY, library=libraries[ordinal - 1], weak=weak)
    return None


MOST_IMPORTS = 1 << 20


def distinct(imports: Iterable[Import]) -> set[Import]:
    """Drop repetitions. More imports than any real binary has would only fill the memory."""
    found: set[Import] = set()
    for one in imports:
        found.add(one)
        if len(found) > MOST_IMPORTS:
            raise InvalidBinary(f"more than {MOST_IMPORTS} imports")
    return found


# dyld_chained_fixups_header of mach-o/fixup-chains.h
_CHAINED_HEADER = Struct("<7I")
_PLAIN, _ADDEND, _ADDEND64 = 1, 2, 3
_CHAINED_IMPORT = {_PLAIN: Struct("<I"), _ADDEND: Struct("<I4x"), _ADDEND64: Struct("<Q8x")}
# bits of the library ordinal, bits before the name offset, and the first ordinal below zero
_NARROW, _WIDE = (8, 9, 0xF1), (16, 32, 0xFFF1)


def chained_imports(fixups: View, libraries: tuple[str, ...], *, coalesced: bool = True) -> Iterator[Import]:
    """Read the imports table of `LC_DYLD_CHAINED_FIXUPS`, with or without the coalesced ones."""
    if not len(fixups):
        return
    _, _, table_at, names_at, count, layout, compressed = fixups.unpack(_CHAINED_HEADER)
    if layout not in _CHAINED_IMPORT or compressed:
        raise fixups.fail(f"unknown import format {layout}, or compressed names ({compressed})")
    record = _CHAINED_IMPORT[layout]
    ordinal_bits, name_bit, negative = _WIDE if layout == _ADDEND64 else _NARROW
    names = Names(fixups.rest(names_at, "names of chained imports"))
    table = fixups.part(table_at, count * record.size, "chained imports")
    for position, (word,) in enumerate(table.records(record)):
        ordinal = word & ((1 << ordinal_bits) - 1)
        if ordinal >= negative:
            ordinal -= 1 << ordinal_bits
        if ordinal == _COALESCED and not coalesced:
            continue
        found = imported(names[word >> name_bit], ordinal, libraries, weak=bool(word >> ordinal_bits & 1))
        if found is None:
            raise table.fail(f"import from unknown library {ordinal}", position * record.size)
        yield found


# BIND_OPCODE_* of mach-o/loader.h: the high half of a byte is the opcode, the low one its operand
_DONE, _ORDINAL_IMM, _ORDINAL_ULEB, _ORDINAL_SPECIAL, _SYMBOL = 0x00, 0x10, 0x20, 0x30, 0x40
_BIND, _BIND_ADD_ULEB, _BIND_ADD_SCALED, _BIND_TIMES = 0x90, 0xA0, 0xB0, 0xC0
_SET_TYPE, _SET_ADDEND, _SET_SEGMENT, _ADD_ADDRESS, _THREADED = 0x50, 0x60, 0x70, 0x80, 0xD0
_BINDS = frozenset({_BIND, _BIND_ADD_ULEB, _BIND_ADD_SCALED, _BIND_TIMES})
_ORDINALS = frozenset({_ORDINAL_IMM, _ORDINAL_ULEB, _ORDINAL_SPECIAL})
# how many LEB128 numbers follow; where they only say at which address, they are skipped
_NUMBERS = {_SET_ADDEND: 1, _SET_SEGMENT: 1, _ADD_ADDRESS: 1, _BIND_ADD_ULEB: 1, _BIND_TIMES: 2}
_BARE = frozenset({_DONE, _SET_TYPE, _BIND, _BIND_ADD_SCALED})
_WEAK_IMPORT = 0x1
_LOW_HALF, _HIGH_HALF = 0x0F, 0xF0


def bound_imports(
    opcodes: View, libraries: tuple[str, ...], *, ordinal: int = 0, lazy: bool = False
) -> Iterator[Import]:
    """Run bind opcodes for their symbols; lazy ones continue after an end, weak set no ordinal.

    A symbol that is bound at many places is given once for each time that it is named.
    """
    name, weak = "", False
    found: Import | None = None
    buffer, start, size = opcodes.buffer, opcodes.start, len(opcodes)
    cursor = 0
    while cursor < size:
        at = cursor
        byte = buffer[start + at]
        opcode, operand = byte & _HIGH_HALF, byte & _LOW_HALF
        cursor += 1
        if opcode == _DONE and not lazy:
            return
        if opcode == _SYMBOL:
            raw = opcodes.string(cursor)
            cursor += len(raw) + 1
            name, weak, found = decode(raw), bool(operand & _WEAK_IMPORT), None
        elif opcode in _ORDINALS:
            ordinal, cursor = _ordinal(opcodes, opcode, operand, cursor)
            found = None
        elif opcode not in _BARE:
            cursor = _skip(opcodes, opcode, operand, cursor)
        if found is None and opcode in _BINDS:
            found = imported(name, ordinal, libraries, weak=weak)
            if found is None or not name:
                raise opcodes.fail(f"bind of {name!r} from unknown library {ordinal}", at)
            yield found


def _ordinal(opcodes: View, opcode: int, operand: int, cursor: int) -> tuple[int, int]:
    if opcode == _ORDINAL_ULEB:
        return opcodes.uleb(cursor)
    if opcode == _ORDINAL_SPECIAL and operand:
        return operand - (_LOW_HALF + 1), cursor
    return operand, cursor


def _skip(opcodes: View, opcode: int, operand: int, cursor: int) -> int:
    if opcode not in _NUMBERS and opcode != _THREADED:
        raise opcodes.fail(f"unknown opcode {opcode:#x}", cursor - 1)
    # BIND_SUBOPCODE_THREADED_SET_BIND_ORDINAL_TABLE_SIZE_ULEB is the one with an operand
    count = int(not operand) if opcode == _THREADED else _NUMBERS[opcode]
    for _ in range(count):
        _, cursor = opcodes.uleb(cursor)
    return cursor


def info_imports(tables: tuple[View, View, View], libraries: tuple[str, ...]) -> Iterator[Import]:
    """Read the bind, weak and lazy opcodes of `LC_DYLD_INFO`.

    A weak bind replaces what is bound already, so it cannot fail and is left out; but newer
    linkers leave `operator new` and its like to the weak binds alone.
    """
    binds, weak_binds, lazy_binds = tables
    found = distinct(bound_imports(binds, libraries))
    found |= distinct(bound_imports(lazy_binds, libraries, lazy=True))
    yield from found
    names = {one.name for one in found}
    for one in bound_imports(weak_binds, libraries, ordinal=_COALESCED):
        if one.name not in names:
            yield one


# nlist_64 of mach-o/nlist.h
_NLIST = Struct("<IBBHQ")
_STAB, _PRIVATE, _TYPE, _EXTERNAL = 0xE0, 0x10, 0x0E, 0x01
_UNDEFINED = 0x0
_WEAK_REFERENCE, _WEAK_DEFINITION = 0x40, 0x80
_FIRST_SPECIAL_ORDINAL = 0xFE


def _externals(symbols: View, strings: View) -> Iterator[tuple[str, int, int]]:
    names = Names(strings)
    for offset, kind, _, description, _ in symbols.records(_NLIST):
        if kind & _EXTERNAL and not kind & (_STAB | _PRIVATE):
            yield names[offset], kind & _TYPE, description


def undefined_imports(
    symbols: View, strings: View, libraries: tuple[str, ...], *, two_level: bool
) -> Iterator[Import]:
    """Read the undefined symbols: the last resort, as older dylds did (`MH_TWOLEVEL`, `n_desc`)."""
    for name, kind, description in _externals(symbols, strings):
        if kind == _UNDEFINED:
            ordinal = description >> 8
            if ordinal >= _FIRST_SPECIAL_ORDINAL:  # DYNAMIC_LOOKUP_ORDINAL, EXECUTABLE_ORDINAL
                ordinal = -2 if ordinal == _FIRST_SPECIAL_ORDINAL else -1
            found = imported(
                name,
                ordinal if two_level else -2,
                libraries,
                weak=bool(description & _WEAK_REFERENCE),
            )
            if found is None:
                raise symbols.fail(f"{name!r} is imported from unknown library {ordinal}")
            yield found


def defined_exports(symbols: View, strings: View) -> Iterator[tuple[str, bool]]:
    """Read the defined external symbols, each with whether its definition is weak."""
    for name, kind, description in _externals(symbols, strings):
        if kind != _UNDEFINED:
            yield name, bool(description & _WEAK_DEFINITION)
