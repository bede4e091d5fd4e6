"""Tiny Mach-O and ELF files, put together byte by byte, so that no toolchain is needed.

Run it with a directory to have them written there; tests build them in memory.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from struct import Struct, pack
from typing import TYPE_CHECKING

from make_elf import Elf, Needed, Symbol, Undefined

if TYPE_CHECKING:
    from collections.abc import Callable

ARM64, X86_64 = (0x0100000C, 0), (0x01000007, 3)
LOAD, WEAK, REEXPORT, UPWARD = 0xC, 0x80000018, 0x8000001F, 0x80000023
TWO_LEVEL = 0x80
SELF, EXECUTABLE, FLAT, COALESCED = 0, -1, -2, -3


def uleb(value: int, width: int = 1) -> bytes:
    """Padded to a width, so that a trie can be laid out in one go."""
    out = bytearray()
    while value or len(out) < width:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out[-1] &= 0x7F
    return bytes(out)


@dataclass(frozen=True, kw_only=True)
class Exported:
    name: str
    flags: int = 0
    address: int = 0x100
    ordinal: int = 0
    imported_name: str = ""

    def payload(self) -> bytes:
        if self.flags & 0x08:
            return uleb(self.flags) + uleb(self.ordinal) + self.imported_name.encode() + b"\0"
        return uleb(self.flags) + uleb(self.address)


@dataclass(frozen=True, kw_only=True)
class Imported:
    name: str
    ordinal: int
    weak: bool = False
    lazy: bool = False


def common_start(names: list[str]) -> str:
    first, last = min(names), max(names)
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(letter for letter, _ in same)


def trie(exports: tuple[Exported, ...], prefix: str = "", base: int = 0) -> bytes:
    """Lay out a node, then its children after it; one edge for each different first letter."""
    own = b"".join(one.payload() for one in exports if one.name == prefix)
    below = [one for one in exports if one.name != prefix]
    edges: dict[str, list[Exported]] = {}
    for one in below:
        edges.setdefault(one.name[len(prefix)], []).append(one)
    texts = {
        letter: common_start([one.name for one in group])[len(prefix) :] for letter, group in edges.items()
    }
    head = uleb(len(own)) + own + bytes([len(edges)])
    at = base + len(head) + sum(len(text) + 1 + 3 for text in texts.values())
    children = b""
    for letter, text in sorted(texts.items()):
        head += text.encode() + b"\0" + uleb(at + len(children), 3)
        children += trie(tuple(edges[letter]), prefix + text, at + len(children))
    return head + children


def command(kind: int, body: bytes) -> bytes:
    body += b"\0" * (-len(body) % 8)
    return pack("<2I", kind, 8 + len(body)) + body


def version(text: str) -> int:
    major, minor, patch = ([int(part) for part in text.split(".")] + [0, 0])[:3]
    return major << 16 | minor << 8 | patch


def chained_fixups(imports: tuple[Imported, ...], data_at: int, wide: int) -> bytes:
    """Build a header, one page with a chain of pointers (DYLD_CHAINED_PTR_64), imports, names."""
    starts = pack("<4I", 3, 0, 16, 0) + pack("<IHHQIHH", 24, 0x4000, 2, data_at, 0, 1, 0)
    starts += b"\0" * 2
    names, table = b"\0", b""
    for one in imports:
        if wide == 3:
            table += pack("<HHIQ", one.ordinal & 0xFFFF, one.weak, len(names), 0)
        else:
            word = one.ordinal & 0xFF | one.weak << 8 | len(names) << 9
            table += pack("<I", word) if wide == 1 else pack("<Ii", word, 0)
        names += one.name.encode() + b"\0"
    starts += b"\0" * (-len(starts) % 8)
    at = 32 + len(starts)
    head = pack("<7I4x", 0, 32, at, at + len(table), len(imports), wide, 0)
    return head + starts + table + names


def chain(count: int) -> bytes:
    """Link one bind pointer for each import, eight bytes (two strides) apart."""
    words = (1 << 63 | (2 if one < count - 1 else 0) << 51 | one for one in range(count))
    return b"".join(pack("<Q", word) for word in words)


def bind_opcodes(imports: tuple[Imported, ...], *, lazy: bool) -> bytes:
    out = b""
    for slot, one in enumerate(imports):
        if one.lazy != lazy or one.ordinal == COALESCED:
            continue
        if one.ordinal > 15:
            out += b"\x20" + uleb(one.ordinal)
        else:
            out += bytes([(0x30 if one.ordinal <= 0 else 0x10) | one.ordinal & 0xF])
        out += bytes([0x40 | one.weak]) + one.name.encode() + b"\0"
        out += (b"" if lazy else b"\x51") + b"\x71" + uleb(slot * 8) + b"\x90"
        out += b"\0" if lazy else b""
    return out + b"\0"


def weak_bind_opcodes(imports: tuple[Imported, ...]) -> bytes:
    out = b""
    for slot, one in enumerate(imports):
        if one.ordinal == COALESCED:
            out += b"\x40" + one.name.encode() + b"\0\x51\x71" + uleb(slot * 8) + b"\x90"
    # a strong definition of our own, which is no import
    return out + b"\x48__Zstrong\0" + b"\0"


@dataclass(frozen=True, kw_only=True)
class MachO:
    """A thin dylib of three segments; `imports_by` is chained, opcodes or symbols."""

    cpu: tuple[int, int] = ARM64
    file_type: int = 6
    flags: int = 0x5 | TWO_LEVEL
    name: str = "@rpath/libsample.dylib"
    libraries: tuple[tuple[int, str], ...] = ((LOAD, "/usr/lib/libSystem.B.dylib"),)
    rpaths: tuple[str, ...] = ()
    floors: tuple[bytes, ...] = (command(0x32, pack("<4I", 1, version("12.1"), 0xF0000, 0)),)
    exports: tuple[Exported, ...] = ()
    imports: tuple[Imported, ...] = ()
    imports_by: str = "chained"
    exports_by: str = "trie"
    wide: int = 1
    more: tuple[bytes, ...] = ()

    def build(self) -> bytes:
        draft, _ = self._commands(0, 0)
        head_size = 32 + len(draft)
        commands, body = self._commands(head_size, head_size + 8 * len(self.imports))
        count = 0
        at = 0
        while at < len(commands):
            at += Struct("<I").unpack_from(commands, at + 4)[0]
            count += 1
        cpu, subtype = self.cpu
        header = pack("<8I", 0xFEEDFACF, cpu, subtype, self.file_type, count, len(commands), self.flags, 0)
        return header + commands + chain(len(self.imports)) + body

    def _commands(self, data_at: int, edit_at: int) -> tuple[bytes, bytes]:
        body = b""

        def place(table: bytes) -> bytes:
            nonlocal body
            body += b"\0" * (-(edit_at + len(body)) % 8)
            at = edit_at + len(body)
            body += table
            return pack("<2I", at if table else 0, len(table))

        tables = b"".join(self._tables(place))
        size = 8 * len(self.imports)
        return (
            segment(b"__TEXT", 0, 0x4000, 0, data_at)
            + segment(b"__DATA", 0x4000, 0x4000, data_at, size)
            + segment(b"__LINKEDIT", 0x8000, 0x4000, edit_at, len(body))
            + (text_command(0xD, self.name, dylib=True) if self.name else b"")
            + b"".join(text_command(kind, name, dylib=True) for kind, name in self.libraries)
            + b"".join(text_command(0x8000001C, name, dylib=False) for name in self.rpaths)
            + b"".join(self.floors)
            + b"".join(self.more)
            + tables
        ), body

    def _tables(self, place: Callable[[bytes], bytes]) -> list[bytes]:
        found = []
        the_trie = trie(self.exports) if self.exports else b""
        in_info = the_trie if self.exports_by == "info" else b""
        if self.imports_by == "opcodes" or self.exports_by == "info":
            opcodes = self.imports_by == "opcodes"
            binds = bind_opcodes(self.imports, lazy=False) if opcodes else b""
            lazy = bind_opcodes(self.imports, lazy=True) if opcodes else b""
            weak = weak_bind_opcodes(self.imports) if opcodes else b""
            body = pack("<2I", 0, 0) + place(binds) + place(weak) + place(lazy)
            found.append(command(0x80000022, body + place(in_info)))
        if self.imports_by == "chained":
            fixups = chained_fixups(self.imports, 0x4000, self.wide)
            found.append(command(0x80000034, place(fixups)))
        if self.exports_by == "trie":
            found.append(command(0x80000033, place(the_trie)))
        strings, symbols = b"\0", b""
        for exported in self.exports:
            description = 0x80 if exported.flags & 0x04 else 0
            symbols += pack("<IBBHQ", len(strings), 0x0F, 1, description, exported.address)
            strings += exported.name.encode() + b"\0"
        for imported in self.imports:
            ordinal = {SELF: 0, EXECUTABLE: 0xFF, FLAT: 0xFE, COALESCED: 0xFE}.get(
                imported.ordinal, imported.ordinal
            )
            description = ordinal << 8 | (0x40 if imported.weak else 0)
            symbols += pack("<IBBHQ", len(strings), 0x01, 0, description, 0)
            strings += imported.name.encode() + b"\0"
        at = place(symbols)[:4] + pack("<I", len(symbols) // 16)
        found.append(command(0x2, at + place(strings)))
        sizes = (0, 0, 0, len(self.exports), len(self.exports), len(self.imports))
        found.append(command(0xB, pack("<6I48x", *sizes)))
        return found


def segment(name: bytes, address: int, room: int, offset: int, size: int) -> bytes:
    return command(0x19, pack("<16s4Q4I", name, address, room, offset, size, 7, 3, 0, 0))


def text_command(kind: int, text: str, *, dylib: bool) -> bytes:
    head = pack("<4I", 24, 2, 0x10000, 0x10000) if dylib else pack("<I", 12)
    return command(kind, head + text.encode() + b"\0")


def fat(*parts: tuple[tuple[int, int], bytes], wide: bool = False) -> bytes:
    layout = Struct(">2i2Q2I") if wide else Struct(">2i3I")
    head = pack(">2I", 0xCAFEBABF if wide else 0xCAFEBABE, len(parts))
    at = -(-(len(head) + layout.size * len(parts)) // 64) * 64
    body = b""
    for (cpu, subtype), part in parts:
        tail = (6, 0) if wide else (6,)
        head += layout.pack(cpu, subtype, at + len(body), len(part), *tail)
        body += part + b"\0" * (-len(part) % 64)
    return head.ljust(at, b"\0") + body


EXPORTS = (
    Exported(name="_TF_NewStatus"),
    Exported(name="_TF_NewStatusWithLongerName", flags=0x04),
    Exported(name="__ZN2tf3fooEv", flags=0x04),
    Exported(name="__ZN2tf3barEv", flags=0x02),
    Exported(name="__ZTW3tls", flags=0x01),
)
REEXPORTS = (
    Exported(name="_renamed", flags=0x08, ordinal=1, imported_name="_original"),
    Exported(name="_passed_on", flags=0x08, ordinal=2),
)
LIBRARIES = (
    (LOAD, "/usr/lib/libSystem.B.dylib"),
    (REEXPORT, "@rpath/libother.dylib"),
    (WEAK, "@loader_path/libmaybe.dylib"),
    (UPWARD, "@rpath/libabove.dylib"),
)
IMPORTS = (
    Imported(name="_malloc", ordinal=1),
    Imported(name="_maybe", ordinal=3, weak=True),
    Imported(name="_TF_NewBuffer", ordinal=FLAT),
    Imported(name="_own", ordinal=SELF),
    Imported(name="_main_symbol", ordinal=EXECUTABLE),
    Imported(name="_late", ordinal=2, lazy=True),
)
COALESCING = (*IMPORTS, Imported(name="__Znwm", ordinal=COALESCED))
VERSION_MIN = (command(0x24, pack("<2I", version("10.14.6"), version("11"))),)
RPATHS = ("@loader_path/../solib", "/opt/lib")

ARM64_CHAINED = MachO(exports=EXPORTS, imports=COALESCING, libraries=LIBRARIES, rpaths=RPATHS)
X86_64_OPCODES = MachO(
    cpu=X86_64,
    exports=EXPORTS,
    imports=COALESCING,
    libraries=LIBRARIES,
    rpaths=RPATHS,
    floors=VERSION_MIN,
    imports_by="opcodes",
    exports_by="info",
)

MACHO: dict[str, bytes] = {
    "arm64-chained": ARM64_CHAINED.build(),
    "arm64-chained-addend": MachO(imports=COALESCING, libraries=LIBRARIES, wide=2).build(),
    "arm64-chained-addend64": MachO(imports=COALESCING, libraries=LIBRARIES, wide=3).build(),
    "x86_64-opcodes": X86_64_OPCODES.build(),
    "x86_64-symbols": MachO(
        cpu=X86_64,
        exports=EXPORTS,
        imports=IMPORTS,
        libraries=LIBRARIES,
        imports_by="symbols",
        exports_by="symbols",
    ).build(),
    "arm64-flat": MachO(
        imports=tuple(Imported(name=one.name, ordinal=FLAT) for one in IMPORTS),
        flags=0x5,
        imports_by="opcodes",
        exports_by="info",
    ).build(),
    "arm64-reexports": MachO(exports=EXPORTS + REEXPORTS, libraries=LIBRARIES).build(),
    "arm64-bundle": MachO(file_type=8, name="", imports=IMPORTS[:1]).build(),
}
FAT: dict[str, bytes] = {
    "fat": fat((X86_64, MACHO["x86_64-opcodes"]), (ARM64, MACHO["arm64-chained"])),
    "fat-64": fat((X86_64, MACHO["x86_64-opcodes"]), (ARM64, MACHO["arm64-chained"]), wide=True),
}

SYMBOLS = (
    Symbol("TF_NewStatus"),
    Symbol("_ZN2tf3fooEv", weak=True),
    Symbol("tls_value", kind=6),
    Symbol("versioned", version=2),
    Symbol("twice", version=2, hidden=True),
    Symbol("twice", version=3),
)
UNDEFINED = (
    Undefined("memcpy", version=4),
    Undefined("TF_NewBuffer"),
    Undefined("__gmon_start__", weak=True),
    Undefined("_ZSt4cout", version=5),
)
NEEDED = (
    Needed("libc.so.6", ((4, "GLIBC_2.14"), (6, "GLIBC_2.9"))),
    Needed("libstdc++.so.6", ((5, "GLIBCXX_3.4"),)),
)
ELF_SAMPLE = Elf(
    name="libsample.so.1",
    libraries=("libc.so.6", "libstdc++.so.6"),
    runpath="$ORIGIN/../solib:/opt/lib",
    exports=SYMBOLS,
    imports=UNDEFINED,
    versions=("SAMPLE_1", "SAMPLE_2"),
    needs=NEEDED,
)
ELF: dict[str, bytes] = {
    "elf-gnu-hash": ELF_SAMPLE.build(),
    "elf-sysv-hash": Elf(
        name="libsysv.so",
        libraries=("libc.so.6",),
        rpath="$ORIGIN:/usr/local/lib",
        exports=SYMBOLS[:3],
        imports=UNDEFINED[1:3],
        hashed_by="sysv",
    ).build(),
    "elf-old-layout": Elf(
        machine=183, exports=SYMBOLS[:2], imports=UNDEFINED[1:2], first_executable=True
    ).build(),
    "elf-no-exports": Elf(imports=UNDEFINED[1:3]).build(),
}
SAMPLES: dict[str, bytes] = MACHO | FAT | ELF


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for file_name, content in SAMPLES.items():
        (directory / file_name).write_bytes(content)
        print(f"{len(content):6} {file_name}")
