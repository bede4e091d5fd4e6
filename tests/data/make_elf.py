"""The ELF half of the samples: a shared library with two segments and no sections."""

from __future__ import annotations

from dataclasses import dataclass
from struct import pack

PAGE = 0x1000


@dataclass(frozen=True)
class Symbol:
    name: str
    weak: bool = False
    kind: int = 2
    version: int = 1
    hidden: bool = False


@dataclass(frozen=True)
class Undefined:
    name: str
    weak: bool = False
    version: int = 1


@dataclass(frozen=True)
class Needed:
    library: str
    versions: tuple[tuple[int, str], ...]


def gnu_hash(name: str) -> int:
    value = 5381
    for byte in name.encode():
        value = (value * 33 + byte) % 2**32
    return value


def sysv_hash(name: str) -> int:
    value = 0
    for byte in name.encode():
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ high >> 24) & ~high
    return value


class Strings:
    def __init__(self) -> None:
        self.table = b"\0"

    def add(self, text: str) -> int:
        at = len(self.table)
        self.table += text.encode() + b"\0"
        return at


@dataclass(frozen=True, kw_only=True)
class Elf:
    machine: int = 62
    name: str = ""
    libraries: tuple[str, ...] = ()
    rpath: str = ""
    runpath: str = ""
    exports: tuple[Symbol, ...] = ()
    imports: tuple[Undefined, ...] = ()
    versions: tuple[str, ...] = ()
    needs: tuple[Needed, ...] = ()
    hashed_by: str = "gnu"
    first_executable: bool = False
    buckets: int = 2

    def build(self) -> bytes:
        strings = Strings()
        tags = [(1, strings.add(one)) for one in self.libraries]
        for tag, text in ((14, self.name), (15, self.rpath), (29, self.runpath)):
            tags += [(tag, strings.add(text))] if text else []
        exports = self._sorted()
        body = b"\0" * (64 + 3 * 56)
        tables = {
            6: self._symbols(exports, strings),
            0x6FFFFEF5 if self.hashed_by == "gnu" else 4: self._hash(exports),
            **self._versions(exports, strings),
            7: self._relocations(),
        }
        tables[5] = strings.table
        for tag, table in tables.items():
            body += b"\0" * (-len(body) % 8)
            tags += [(tag, len(body))] if table else []
            body += table
        body += b"\0" * (-len(body) % 8)
        tags += [(10, len(strings.table)), (11, 24), (8, len(tables[7])), (9, 24)]
        tags += [(0x6FFFFFFF, len(self.needs))] if self.needs else []
        tags += [(0x6FFFFFFD, len(self.versions) + 1)] if self.versions else []
        dynamic = b"".join(pack("<2Q", *tag) for tag in [*sorted(tags), (0, 0)])
        return self._headers(len(body), len(dynamic)) + body[64 + 3 * 56 :] + dynamic

    def _headers(self, body: int, dynamic: int) -> bytes:
        ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
        head = ident + pack("<2HI3QI6H", 3, self.machine, 1, 0, 64, 0, 0, 64, 56, 3, 64, 0, 0)
        flags = 5 if self.first_executable else 4
        address = PAGE + body
        for kind, flag, offset, at, size in (
            (1, flags, 0, 0, body),
            (1, 6, body, address, dynamic),
            (2, 6, body, address, dynamic),
        ):
            head += pack("<2I6Q", kind, flag, offset, at, at, size, size, 8)
        return head

    def _sorted(self) -> list[Symbol]:
        if self.hashed_by != "gnu":
            return list(self.exports)
        return sorted(self.exports, key=lambda one: gnu_hash(one.name) % self.buckets)

    def _symbols(self, exports: list[Symbol], strings: Strings) -> bytes:
        out = bytes(24)
        for one in self.imports:
            out += pack("<IBBHQQ", strings.add(one.name), (1 + one.weak) << 4 | 2, 0, 0, 0, 0)
        for symbol in exports:
            info = (1 + symbol.weak) << 4 | symbol.kind
            out += pack("<IBBHQQ", strings.add(symbol.name), info, 0, 1, 0x40, 8)
        return out

    def _hash(self, exports: list[Symbol]) -> bytes:
        if self.hashed_by == "sysv":
            return self._sysv_hash(exports)
        if not exports:  # as binutils writes it
            return pack("<4IQI", 1, 1, 1, 0, 0, 0)
        first = 1 + len(self.imports)
        bloom, chain = 0, b""
        buckets = [0] * self.buckets
        for number, one in enumerate(exports):
            value = gnu_hash(one.name)
            bloom |= 1 << value % 64 | 1 << (value >> 6) % 64
            bucket = value % self.buckets
            buckets[bucket] = buckets[bucket] or first + number
            rest = exports[number + 1 :]
            last = not rest or gnu_hash(rest[0].name) % self.buckets != bucket
            chain += pack("<I", value & ~1 | last)
        head = pack("<4IQ", self.buckets, first, 1, 6, bloom)
        return head + pack(f"<{self.buckets}I", *buckets) + chain

    def _sysv_hash(self, exports: list[Symbol]) -> bytes:
        names = ["", *(one.name for one in self.imports), *(one.name for one in exports)]
        buckets, chain = [0] * self.buckets, [0] * len(names)
        for number, name in list(enumerate(names))[1:]:
            bucket = sysv_hash(name) % self.buckets
            chain[number], buckets[bucket] = buckets[bucket], number
        words = [self.buckets, len(names), *buckets, *chain]
        return pack(f"<{len(words)}I", *words)

    def _versions(self, exports: list[Symbol], strings: Strings) -> dict[int, bytes]:
        if not self.versions and not self.needs:
            return {}
        indices = [0, *(one.version for one in self.imports)]
        indices += [one.version | one.hidden << 15 for one in exports]
        return {
            0x6FFFFFF0: pack(f"<{len(indices)}H", *indices),
            0x6FFFFFFC: self._defined(strings),
            0x6FFFFFFE: self._needed(strings),
        }

    def _defined(self, strings: Strings) -> bytes:
        out = b""
        names = (self.name, *self.versions) if self.versions else ()
        for index, name in enumerate(names, 1):
            following = 28 if index < len(names) else 0
            base = int(index == 1)
            out += pack("<4H3I", 1, base, index, 1, sysv_hash(name), 20, following)
            out += pack("<2I", strings.add(name), 0)
        return out

    def _needed(self, strings: Strings) -> bytes:
        out = b""
        for number, one in enumerate(self.needs, 1):
            count = len(one.versions)
            following = 16 + 16 * count if number < len(self.needs) else 0
            out += pack("<2H3I", 1, count, strings.add(one.library), 16, following)
            for place, (index, name) in enumerate(one.versions, 1):
                following = 16 if place < count else 0
                out += pack("<I2H2I", sysv_hash(name), 0, index, strings.add(name), following)
        return out

    def _relocations(self) -> bytes:
        numbers = range(1, len(self.imports) + 1)
        return b"".join(pack("<3Q", PAGE, number << 32 | 6, 0) for number in numbers)
