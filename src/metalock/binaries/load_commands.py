"""Fat slices and load commands of Mach-O (`mach-o/fat.h`, `mach-o/loader.h`)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from struct import Struct
from typing import TYPE_CHECKING

from metalock.binaries.model import FileType, InvalidBinary, Library, LinkKind, Slice, Version
from metalock.binaries.view import Image, View, decode

if TYPE_CHECKING:
    from collections.abc import Iterator

THIN_MAGIC = b"\xcf\xfa\xed\xfe"
FAT_MAGICS = (b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf")

HEADER = Struct("<4x2i5I")
_COMMAND = Struct("<2I")
_MOST_COMMAND_BYTES = 1 << 20
_TWO_LEVEL = 0x80
_CPU_64, _SUBTYPE_MASK = 0x0100_0000, 0x00FF_FFFF
_CPUS = {7: "i386", 7 | _CPU_64: "x86_64", 12: "arm", 12 | _CPU_64: "arm64"}
_SUBTYPES = {("x86_64", 8): "x86_64h", ("arm64", 2): "arm64e"}
_FILE_TYPES = {2: FileType.EXECUTABLE, 6: FileType.LIBRARY, 8: FileType.BUNDLE}


def _architecture(cpu: int, subtype: int) -> str:
    name = _CPUS.get(cpu, f"cpu {cpu:#x}")
    return _SUBTYPES.get((name, subtype & _SUBTYPE_MASK), name)


# A Java class begins like a fat file, with its version (45 and up) where the count is.
_MOST_SLICES = 32
_FAT_HEADER = Struct(">4xI")
_FAT_ARCH = {FAT_MAGICS[0]: Struct(">2i2I4x"), FAT_MAGICS[1]: Struct(">2i2Q8x")}


def slices(head: View) -> tuple[Slice, ...]:
    """List the slices of a fat file, checked against each other but not against the file's end."""
    (count,) = head.unpack(_FAT_HEADER)
    if count > _MOST_SLICES:
        raise head.fail(f"{count} slices are too many for a fat Mach-O file", 4)
    record = _FAT_ARCH[head.part(0, 4, "magic").raw()]
    table = head.part(_FAT_HEADER.size, count * record.size, "table of slices")
    found = [
        Slice(architecture=_architecture(cpu, subtype), offset=offset, size=size)
        for cpu, subtype, offset, size in table.records(record)
    ]
    end = _FAT_HEADER.size + len(table)
    for one in sorted(found, key=lambda one: one.offset):
        if one.offset < end:
            raise InvalidBinary(f"slice {one.architecture} overlaps", offset=one.offset)
        end = one.offset + one.size
    if len({one.architecture for one in found}) < len(found):
        raise head.fail("two slices have the same architecture")
    return tuple(found)


DYLD_INFO, CHAINED_FIXUPS, EXPORTS_TRIE, SYMTAB = 0x22, 0x34, 0x33, 0x2
_ID_DYLIB, _LOAD_DYLIB, _RPATH, _BUILD_VERSION = 0xD, 0xC, 0x1C, 0x32
_MUST_UNDERSTAND = 0x8000_0000  # LC_REQ_DYLD
_SEGMENT, _SEGMENT_IN_FILE = 0x19, Struct("<32x2Q")  # LC_SEGMENT_64: fileoff, filesize
_LINKS = {
    _LOAD_DYLIB: LinkKind.NORMAL,
    0x18: LinkKind.WEAK,
    0x1F: LinkKind.REEXPORT,
    0x20: LinkKind.LAZY,
    0x23: LinkKind.UPWARD,
}
_PLATFORMS = {1: "macos", 2: "ios", 3: "tvos", 4: "watchos", 6: "maccatalyst", 11: "visionos"}
_VERSION_MIN = {0x24: "macos", 0x25: "ios", 0x2F: "tvos", 0x30: "watchos"}
_ONE, _PAIR = Struct("<I"), Struct("<2I")
# dylib_use_command: a LC_LOAD_DYLIB with this in the place of its timestamp, and flags after it
_DYLIB_USE, _USE_MARKER = Struct("<4xI8xI"), 0x1A74_1800
_USE_KINDS = {0x1: LinkKind.WEAK, 0x2: LinkKind.REEXPORT, 0x4: LinkKind.UPWARD}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A range of the file that a load command points to."""

    name: str
    offset: int
    size: int

    def view(self, image: Image) -> View:
        """Find it in what is at hand of the file."""
        return image.part(self.offset, self.size, self.name)


@dataclass(slots=True, kw_only=True)
class Commands:
    """What the header and the load commands say, collected in one pass."""

    architecture: str
    file_type: FileType
    two_level: bool
    name: str | None = None
    libraries: list[Library] = field(default_factory=list)
    rpaths: list[str] = field(default_factory=list)
    floors: dict[str, Version] = field(default_factory=dict)
    tables: dict[int, tuple[Table, ...]] = field(default_factory=dict)
    end: int = 0
    """Bytes that the file must have for its segments."""

    def export_tables(self) -> tuple[Table, ...]:
        """Choose as dyld does: the trie of its own command, that of dyld info, else symbols."""
        if EXPORTS_TRIE in self.tables:
            return self.tables[EXPORTS_TRIE]
        if DYLD_INFO in self.tables:
            return self.tables[DYLD_INFO][3:]
        return self.tables.get(SYMTAB, ())

    def import_tables(self, *, coalesced: bool = True) -> tuple[Table, ...]:
        """Choose as dyld does: chained fixups, bind opcodes, else symbols.

        Without `coalesced`, the weak ones of the bind opcodes are replaced by an empty table.
        """
        if CHAINED_FIXUPS in self.tables:
            return self.tables[CHAINED_FIXUPS]
        if DYLD_INFO in self.tables:
            binds, weak, lazy, _ = self.tables[DYLD_INFO]
            return binds, weak if coalesced else replace(weak, size=0), lazy
        return self.tables.get(SYMTAB, ())


def parse(head: View) -> Commands:
    """Read the header and all load commands."""
    cpu, subtype, file_type, count, size, flags, _ = head.unpack(HEADER)
    commands = Commands(
        architecture=_architecture(cpu, subtype),
        file_type=_FILE_TYPES.get(file_type, FileType.OTHER),
        two_level=bool(flags & _TWO_LEVEL),
    )
    table = head.part(HEADER.size, size, "load commands")
    cursor = 0
    for number in range(count):
        kind, length = table.unpack(_COMMAND, cursor)
        if length < _COMMAND.size:
            raise table.fail(f"command {number} has a size of {length}", cursor)
        command = table.part(cursor, length, f"load command {number}")
        _add(commands, kind & ~_MUST_UNDERSTAND, command)
        cursor += length
    return commands


def _add(commands: Commands, kind: int, command: View) -> None:
    body = command.rest(_COMMAND.size, command.name)
    if kind in _LINKS:
        commands.libraries.append(_library(_LINKS[kind], command, body))
    elif kind == _ID_DYLIB:
        commands.name = _text(command, body)
    elif kind == _RPATH:
        commands.rpaths.append(_text(command, body))
    elif kind == _BUILD_VERSION:
        platform, version = body.unpack(_PAIR)
        commands.floors[_PLATFORMS.get(platform, f"platform {platform}")] = _version(version)
    elif kind in _VERSION_MIN:
        commands.floors[_VERSION_MIN[kind]] = _version(body.unpack(_ONE)[0])
    elif kind == _SEGMENT:
        offset, size = body.unpack(_SEGMENT_IN_FILE)
        commands.end = max(commands.end, offset + size)
    elif kind in _TABLES:
        commands.tables[kind] = tuple(_tables(kind, body))


def _text(command: View, body: View) -> str:
    # lc_str: an offset from the start of the command
    return decode(command.string(body.unpack(_ONE)[0]))


def _library(kind: LinkKind, command: View, body: View) -> Library:
    if kind is LinkKind.NORMAL and len(body) >= _DYLIB_USE.size:
        marker, flags = body.unpack(_DYLIB_USE)
        if marker == _USE_MARKER:
            kind = next((k for flag, k in _USE_KINDS.items() if flags & flag), kind)
    return Library(name=_text(command, body), kind=kind)


def _version(packed: int) -> Version:
    """Unpack the nibbles `xxxx.yy.zz`."""
    return packed >> 16, packed >> 8 & 0xFF, packed & 0xFF


# Where (offset, size, size of one record) of each table stand in the body of its command.
_TABLES = {
    EXPORTS_TRIE: (("export trie", 0, 1),),
    CHAINED_FIXUPS: (("chained fixups", 0, 1),),
    DYLD_INFO: (
        ("bind opcodes", 8, 1),
        ("weak bind opcodes", 16, 1),
        ("lazy bind opcodes", 24, 1),
        ("export trie", 32, 1),
    ),
    SYMTAB: (("symbol table", 0, 16), ("string table", 8, 1)),
}


def _tables(kind: int, body: View) -> Iterator[Table]:
    for name, at, unit in _TABLES[kind]:
        offset, count = body.unpack(_PAIR, at)
        yield Table(name=name, offset=offset, size=count * unit)


def head_size(start: View) -> int:
    """Say how many bytes of the file hold the header and the load commands."""
    size: int = start.unpack(HEADER)[4]
    if size > _MOST_COMMAND_BYTES:
        raise start.fail(f"{size} bytes of load commands are too many")
    return HEADER.size + size
