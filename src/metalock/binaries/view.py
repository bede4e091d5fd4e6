"""Bounded reading: nothing past the edge, and no name read at a cost its file did not pay for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from isal.isal_zlib import crc32

from metalock.binaries.model import InvalidBinary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from mmap import mmap
    from struct import Struct

    Buffer = bytes | mmap

_ULEB_BITS = 64
_NAMES_PER_BYTE = 4
_NAMES_SLACK = 1 << 16


def decode(name: bytes) -> str:
    """Return a symbol name as text: it is bytes to the loader, so what is not UTF-8 is escaped."""
    return name.decode("utf-8", "surrogateescape")


def encode(name: str) -> bytes:
    """Undo `decode`."""
    return name.encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class View:
    """A named range of a buffer; `origin` is the offset of its start in the binary."""

    buffer: Buffer = field(repr=False)
    start: int
    stop: int
    origin: int
    name: str

    @classmethod
    def whole(cls, buffer: Buffer, name: str = "file") -> View:
        """Return all of a buffer that starts where the binary starts."""
        return cls(buffer, 0, len(buffer), 0, name)

    def __len__(self) -> int:
        return self.stop - self.start

    def fail(self, problem: str, offset: int = 0) -> InvalidBinary:
        """Build the error for something wrong at `offset` of this view."""
        return InvalidBinary(f"{self.name}: {problem}", offset=self.origin + offset)

    def part(self, offset: int, size: int, name: str) -> View:
        """Narrow to a range, which has to lie inside."""
        if offset < 0 or size < 0 or offset + size > len(self):
            raise self.fail(f"{name} ({size} bytes) is outside", offset)
        start = self.start + offset
        return View(self.buffer, start, start + size, self.origin + offset, name)

    def rest(self, offset: int, name: str) -> View:
        """Narrow to all that follows `offset`."""
        return self.part(offset, len(self) - offset, name)

    def unpack(self, layout: Struct, offset: int = 0) -> tuple[Any, ...]:
        """Read one record."""
        if offset < 0 or offset + layout.size > len(self):
            raise self.fail(f"record of {layout.size} bytes is outside", offset)
        return layout.unpack_from(self.buffer, self.start + offset)

    def records(self, layout: Struct) -> Iterator[tuple[Any, ...]]:
        """Read records to the end; a remainder that is too short for one is left alone."""
        whole = len(self) - len(self) % layout.size
        return layout.iter_unpack(memoryview(self.buffer)[self.start : self.start + whole])

    def checksum(self) -> int:
        """Sum up the bytes where they lie."""
        return crc32(memoryview(self.buffer)[self.start : self.stop])

    def raw(self) -> bytes:
        """Copy the bytes out."""
        return self.buffer[self.start : self.stop]

    def string(self, offset: int) -> bytes:
        """Read up to a NUL, which has to be there."""
        start = self.start + offset
        stop = self.buffer.find(b"\0", start, self.stop) if 0 <= offset < len(self) else -1
        if stop < 0:
            raise self.fail("string without an end", offset)
        return self.buffer[start:stop]

    def uleb(self, offset: int) -> tuple[int, int]:
        """Read a ULEB128 number (DWARF 7.6) and the offset after it."""
        value = shift = 0
        for position in range(self.start + offset, self.stop):
            byte = self.buffer[position]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:  # noqa: PLR2004 the top bit says that more follows
                return value, position + 1 - self.start
            if shift >= _ULEB_BITS:
                break
        raise self.fail("number without an end", offset)


class Names:
    """A string table whose strings may overlap, but not to add up to more than it could hold."""

    def __init__(self, table: View) -> None:
        self._table = table
        self._known: dict[int, str] = {}
        self._budget = len(table) * _NAMES_PER_BYTE + _NAMES_SLACK

    def __getitem__(self, offset: int) -> str:
        name = self._known.get(offset)
        if name is None:
            raw = self._table.string(offset)
            self._budget -= len(raw)
            if self._budget < 0:
                raise self._table.fail("strings overlap beyond reason", offset)
            name = self._known[offset] = decode(raw)
        return name


@dataclass(frozen=True, slots=True)
class Image:
    """The parts of a binary that are at hand, addressed by their offset in the binary."""

    parts: tuple[View, ...]

    def part(self, offset: int, size: int, name: str) -> View:
        """Find a range, which has to be at hand in one part, unless it is empty."""
        if not size:
            return View(b"", 0, 0, offset, name)
        for view in self.parts:
            inside = offset - view.origin
            if inside >= 0 and inside + size <= len(view):
                return view.part(inside, size, name)
        problem = f"{name} ({size} bytes) is outside the file, or outside what was kept of it"
        raise InvalidBinary(problem, offset=offset)
