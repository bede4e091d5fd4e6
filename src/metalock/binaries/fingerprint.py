"""A wheel's binaries in one cacheable file: facts as JSON, export tables as they were.

Layout: magic, format number, size and SHA-256 of the index; the index; the tables, end to end.
The index holds a CRC-32 of each table. A member's tables, its imports among them, are checked when
it is first asked for, so that a question about one small plugin does not read those of TensorFlow.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from struct import Struct
from typing import IO, TYPE_CHECKING, Any, overload

from metalock.binaries.elf_exports import ElfExports, GnuHashExports, SysvHashExports
from metalock.binaries.model import (
    Binary,
    Exports,
    FileType,
    Format,
    Import,
    Library,
    LinkKind,
    Lookup,
    NeededVersion,
)
from metalock.binaries.trie import ListedExports, TrieExports
from metalock.binaries.view import View

if TYPE_CHECKING:
    from metalock.binaries.view import Buffer

FORMAT = 2
_MAGIC = b"metalock"
_HEADER = Struct("<8s2I32s")
_IMPORTS = "imports"
_NOT_READ = b"null"
_KINDS: dict[type[Exports], str] = {
    TrieExports: "trie",
    ListedExports: "list",
    GnuHashExports: "gnu-hash",
    SysvHashExports: "sysv-hash",
}

_LOOKUPS = {one.value: one for one in Lookup}


def dump(members: Mapping[str, Binary], stream: IO[bytes]) -> None:
    """Write the fingerprint of a wheel's members by path; equal members give equal bytes."""
    rows = []
    tables: list[View] = []
    for path in sorted(members):
        pieces = {**members[path].exports.pieces(), _IMPORTS: _stored_imports(members[path])}
        rows.append(
            {
                "path": path,
                "facts": _facts(members[path]),
                "tables": [[name, len(view), view.origin, view.checksum()] for name, view in pieces.items()],
            }
        )
        tables += pieces.values()
    index = json.dumps(rows, sort_keys=True, separators=(",", ":")).encode()
    stream.write(_HEADER.pack(_MAGIC, FORMAT, len(index), sha256(index).digest()))
    stream.write(index)
    for view in tables:
        stream.write(view.raw())


def load(buffer: Buffer, start: int = 0) -> Fingerprint:
    """Read a fingerprint; the buffer, best a mapped file, is kept and read when asked."""
    file = View.whole(buffer).rest(start, "fingerprint")
    magic, version, size, digest = file.unpack(_HEADER)
    if magic != _MAGIC or version != FORMAT:
        raise file.fail(f"not of format {FORMAT}")
    index = file.part(_HEADER.size, size, "index").raw()
    if sha256(index).digest() != digest:
        raise file.fail("the index is damaged", _HEADER.size)
    rows = json.loads(index)
    tables = file.rest(_HEADER.size + size, "tables")
    if sum(map(_size, rows)) != len(tables):
        raise file.fail("the tables are cut off, or something follows them")
    return Fingerprint(rows, tables)


class Fingerprint(Mapping[str, Binary]):
    """The binaries of a wheel, by their path in it."""

    def __init__(self, rows: list[dict[str, Any]], tables: View) -> None:
        """Take the index as `load` has checked it."""
        self._rows: dict[str, tuple[dict[str, Any], int]] = {}
        self._tables = tables
        self._known: dict[str, Binary] = {}
        start = 0
        for row in rows:
            self._rows[row["path"]] = row, start
            start += _size(row)

    def __getitem__(self, path: str) -> Binary:
        """Check the member's tables, the first time, and build it."""
        if path not in self._known:
            row, start = self._rows[path]
            pieces = {}
            for name, size, origin, checksum in row["tables"]:
                table = self._tables.part(start, size, name)
                if table.checksum() != checksum:
                    raise table.fail(f"this table of {path} is damaged")
                pieces[name] = View(table.buffer, table.start, table.stop, origin, name)
                start += size
            self._known[path] = _binary(row["facts"], pieces)
        return self._known[path]

    def __iter__(self) -> Iterator[str]:
        """Go through the paths in order."""
        return iter(self._rows)

    def __contains__(self, path: object) -> bool:
        """Return whether there is such a member, without reading it."""
        return path in self._rows

    def __len__(self) -> int:
        """Count the members."""
        return len(self._rows)


def _size(row: dict[str, Any]) -> int:
    return sum(size for _, size, _, _ in row["tables"])


def _facts(binary: Binary) -> dict[str, Any]:
    exports = binary.exports
    return {
        "format": binary.format,
        "architecture": binary.architecture,
        "file_type": binary.file_type,
        "system": binary.system,
        "floor": binary.floor,
        "name": binary.name,
        "libraries": [[one.name, one.kind] for one in binary.libraries],
        "rpaths": binary.rpaths,
        "runpaths": binary.runpaths,
        "needed_versions": [[o.library, o.version, o.weak] for o in binary.needed_versions],
        "defined_versions": binary.defined_versions,
        "exports": _KINDS[type(exports)],
        "versions": sorted(exports.versions.items()) if isinstance(exports, ElfExports) else [],
    }


def _binary(facts: dict[str, Any], pieces: dict[str, View]) -> Binary:
    floor = facts["floor"]
    return Binary(
        format=Format(facts["format"]),
        architecture=facts["architecture"],
        file_type=FileType(facts["file_type"]),
        system=facts["system"],
        floor=None if floor is None else tuple(floor),
        name=facts["name"],
        libraries=tuple(Library(name=n, kind=LinkKind(k)) for n, k in facts["libraries"]),
        rpaths=tuple(facts["rpaths"]),
        runpaths=tuple(facts["runpaths"]),
        needed_versions=tuple(
            NeededVersion(library=library, version=version, weak=weak)
            for library, version, weak in facts["needed_versions"]
        ),
        defined_versions=tuple(facts["defined_versions"]),
        imports=_StoredImports.of(pieces[_IMPORTS]),
        exports=_exports(facts, pieces),
    )


def _stored_imports(binary: Binary) -> View:
    rows = None
    if binary.imports is not None:
        rows = [[o.name, o.lookup, o.library, o.version, o.weak] for o in binary.imports]
    return View.whole(json.dumps(rows, separators=(",", ":")).encode(), _IMPORTS)


class _StoredImports(Sequence[Import]):
    """Built when they are first asked for: those of TensorFlow's own libraries never are in a grid."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._all: tuple[Import, ...] | None = None

    @classmethod
    def of(cls, table: View) -> _StoredImports | None:
        data = table.raw()
        return None if data == _NOT_READ else cls(data)

    def _built(self) -> tuple[Import, ...]:
        if self._all is None:
            self._all = tuple(
                Import(name=name, lookup=_LOOKUPS[lookup], library=library, version=version, weak=weak)
                for name, lookup, library, version, weak in json.loads(self._data)
            )
        return self._all

    @overload
    def __getitem__(self, at: int) -> Import: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Import, ...]: ...
    def __getitem__(self, at: int | slice) -> Import | tuple[Import, ...]:
        return self._built()[at]

    def __iter__(self) -> Iterator[Import]:
        return iter(self._built())

    def __len__(self) -> int:
        return len(self._built())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._built() == tuple(other)

    def __hash__(self) -> int:
        return hash(self._built())


def _exports(facts: dict[str, Any], pieces: dict[str, View]) -> Exports:
    kind = facts["exports"]
    if kind == "trie":
        libraries = tuple(name for name, _ in facts["libraries"])
        return TrieExports(trie=pieces["trie"], libraries=libraries)
    if kind == "list":
        return ListedExports(table=pieces["list"])
    return (GnuHashExports if kind == "gnu-hash" else SysvHashExports)(
        table=pieces["hash"],
        symbols=pieces["symbols"],
        strings=pieces["strings"],
        indices=pieces["indices"],
        versions=dict(facts["versions"]),
    )
