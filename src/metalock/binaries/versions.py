"""Symbol versions of ELF: verneed and verdef (LSB "Symbol Versioning")."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from metalock.binaries.model import NeededVersion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metalock.binaries.view import Names, View

_NEED = Struct("<2x H3I")
_NEED_AUX = Struct("<4x2H2I")
_DEFINITION = Struct("<2x3H4x2I")
_DEFINITION_AUX = Struct("<I")
_FLAG_BASE, _FLAG_WEAK = 0x1, 0x2
_INDEX_MASK = 0x7FFF

_Record = tuple[int, tuple[int, ...]]


class _Chain:
    """Linked records, each of which may be met once in the whole table."""

    def __init__(self, table: View) -> None:
        self._table = table
        self._met: set[int] = set()

    def follow(self, start: int, count: int, layout: Struct) -> Iterator[_Record]:
        """Give offset and record; the last number of a record leads to the next one."""
        cursor = start
        for _ in range(count):
            if cursor in self._met:
                raise self._table.fail("a record is reached twice", cursor)
            self._met.add(cursor)
            record = self._table.unpack(layout, cursor)
            yield cursor, record
            if not record[-1]:
                return
            cursor += record[-1]


def needed_versions(table: View, count: int, names: Names) -> dict[int, NeededVersion]:
    """Read verneed, by the index that `DT_VERSYM` uses for each version."""
    chain = _Chain(table)
    found = {}
    for at, (aux_count, library, aux, _) in chain.follow(0, count, _NEED):
        for _, (flags, index, name, _) in chain.follow(at + aux, aux_count, _NEED_AUX):
            found[index & _INDEX_MASK] = NeededVersion(
                library=names[library], version=names[name], weak=bool(flags & _FLAG_WEAK)
            )
    return found


def defined_versions(table: View, count: int, names: Names) -> dict[int, str]:
    """Read verdef in the same way, without the base entry, which names the file and no version."""
    chain = _Chain(table)
    found = {}
    for at, (flags, index, _, aux, _) in chain.follow(0, count, _DEFINITION):
        if not flags & _FLAG_BASE:
            (name,) = table.unpack(_DEFINITION_AUX, at + aux)
            found[index & _INDEX_MASK] = names[name]
    return found
