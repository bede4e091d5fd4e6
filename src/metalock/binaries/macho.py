"""Mach-O: from load commands, export trie and bind tables to a `Binary`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metalock.binaries.binds import (
    chained_imports,
    defined_exports,
    distinct,
    info_imports,
    undefined_imports,
)
from metalock.binaries.load_commands import (
    HEADER,
    Commands,
    head_size,
    parse,
)
from metalock.binaries.model import Binary, Exports, Format, Import, InvalidBinary
from metalock.binaries.trie import ListedExports, TrieExports

if TYPE_CHECKING:
    from collections.abc import Iterable

    from metalock.binaries.view import Image, View


def needed(head: View, *, coalesced: bool) -> list[range]:
    """List the ranges that `read` will look at."""
    commands = parse(head)
    tables = commands.export_tables() + commands.import_tables(coalesced=coalesced)
    return [range(head_size(head)), *(range(t.offset, t.offset + t.size) for t in tables)]


def read(image: Image, size: int | None, *, imports: bool, coalesced: bool) -> Binary:
    """Read a thin 64-bit little-endian binary, as all are that macOS still loads, of a file of `size`."""
    start = image.part(0, HEADER.size, "header")
    commands = parse(image.part(0, head_size(start), "file"))
    if size is not None and commands.end > size:
        raise InvalidBinary(f"is cut off: its segments need {commands.end} bytes, and the file has {size}")
    floors = commands.floors
    system = "macos" if "macos" in floors or not floors else next(iter(floors))
    return Binary(
        format=Format.MACH_O,
        architecture=commands.architecture,
        file_type=commands.file_type,
        system=system,
        floor=floors.get(system),
        name=commands.name,
        libraries=tuple(commands.libraries),
        rpaths=tuple(commands.rpaths),
        runpaths=(),
        needed_versions=(),
        defined_versions=(),
        imports=_imports(commands, image, coalesced=coalesced) if imports else None,
        exports=_exports(commands, image),
    )


def _exports(commands: Commands, image: Image) -> Exports:
    views = [table.view(image) for table in commands.export_tables()]
    if len(views) == 1:
        names = tuple(library.name for library in commands.libraries)
        return TrieExports(trie=views[0], libraries=names)
    return ListedExports.of(defined_exports(*views) if views else ())


def _imports(commands: Commands, image: Image, *, coalesced: bool) -> tuple[Import, ...]:
    libraries = tuple(library.name for library in commands.libraries)
    views = tuple(table.view(image) for table in commands.import_tables(coalesced=coalesced))
    found: Iterable[Import]
    match views:
        case (fixups,):
            found = chained_imports(fixups, libraries, coalesced=coalesced)
        case (binds, weak, lazy):
            found = info_imports((binds, weak, lazy), libraries)
        case (symbols, strings):
            two_level = commands.two_level
            found = undefined_imports(symbols, strings, libraries, two_level=two_level)
        case _:
            found = ()
    return tuple(sorted(distinct(found), key=lambda one: (one.name, one.lookup, one.library or "", one.weak)))
