"""ELF: the header and the program headers, and what glibc refuses before it looks at any symbol.

Source: `elf/dl-load.c` of glibc, `open_verify` and `_dl_map_object_from_fd`.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING

from metalock.binaries.model import FileType, InvalidBinary
from metalock.binaries.view import View

if TYPE_CHECKING:
    from collections.abc import Iterable

MAGIC = b"\x7fELF"
HEADER = Struct("<4x5B7s2HI8xQ14x2H6x")
_CLASS_64, _LITTLE_ENDIAN, _CURRENT = 2, 1, 1
_SYSTEMS = {0, 3}
"""`ELFOSABI_SYSV` and `ELFOSABI_GNU`, the two that glibc takes."""
_ABI_VERSIONS = {0: 1, 3: 2}
"""How many versions of each of them every glibc takes."""
_PROGRAM_HEADER = Struct("<2I2Q8x2Q8x")
LOAD, DYNAMIC, _EXECUTABLE = 1, 2, 0x1
_PAGE = 0x1000
_MACHINES = {3: "i386", 40: "arm", 62: "x86_64", 183: "arm64"}
_FILE_TYPES = {2: FileType.EXECUTABLE, 3: FileType.LIBRARY}


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    kind: int
    executable: bool
    offset: int
    address: int
    size: int
    space: int
    """Bytes in memory."""


def header(start: View) -> tuple[str, FileType, range]:
    """Return the machine, the file type, and the place of the program headers."""
    width, order, version, system, abi, rest, *values = start.unpack(HEADER)
    file_type, machine, again, table_at, size, count = values
    if (width, order) != (_CLASS_64, _LITTLE_ENDIAN):
        raise start.fail("only 64-bit little-endian ELF files are read", len(MAGIC))
    if (version, again) != (_CURRENT, _CURRENT):
        raise start.fail(f"ELF version {version}, {again}", 6)
    if system not in _SYSTEMS:
        raise start.fail(f"is for another system (OS ABI {system})", 7)
    if abi >= _ABI_VERSIONS[system] or any(rest):
        raise start.fail(f"version {abi} of the ABI, and {rest.hex()} after it", 8)
    if count and size != _PROGRAM_HEADER.size:
        raise start.fail(f"program headers of {size} bytes", 54)
    table = range(table_at, table_at + count * _PROGRAM_HEADER.size)
    return _MACHINES.get(machine, f"machine {machine}"), _FILE_TYPES.get(file_type, FileType.OTHER), table


def segments_of(table: View) -> list[Segment]:
    return [
        Segment(
            kind=kind,
            executable=bool(flags & _EXECUTABLE),
            offset=offset,
            address=address,
            size=size,
            space=space,
        )
        for kind, flags, offset, address, size, space in table.records(_PROGRAM_HEADER)
    ]


def check_loadable(segments: Iterable[Segment], size: int | None) -> None:
    """Raise `InvalidBinary` for a file of that size without what glibc maps and reads first."""
    loads = [one for one in segments if one.kind == LOAD]
    end = max((one.offset + one.size for one in loads), default=0)
    if size is not None and end > size:
        raise InvalidBinary(f"is cut off: its segments need {end} bytes, and the file has {size}")
    if not loads:
        raise InvalidBinary("no segment is to be loaded")
    if not any(one.kind == DYNAMIC for one in segments):
        raise InvalidBinary("no dynamic section")
    for one in loads:
        if (one.address - one.offset) % _PAGE:
            raise InvalidBinary("a segment is not aligned to pages", offset=one.offset)
        if one.space < one.size:
            raise InvalidBinary("a segment is larger in the file than in memory", offset=one.offset)
