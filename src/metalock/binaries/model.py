"""What a binary says about itself, in the same words for Mach-O and ELF."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from metalock.binaries.view import View

Version = tuple[int, ...]


class InvalidBinary(Exception):  # noqa: N818 it says what is wrong
    """A file, or a cached fingerprint of one, that cannot be what it claims to be."""

    def __init__(self, problem: str, *, offset: int | None = None) -> None:
        """`offset` counts from the start of the binary: in a fat file, of the slice."""
        super().__init__(problem if offset is None else f"{problem} (at offset {offset:#x})")
        self.problem = problem
        self.offset = offset


class Format(StrEnum):
    """The two families of loaders that the audit models."""

    MACH_O = "mach-o"
    ELF = "elf"


class FileType(StrEnum):
    """How the file may be used; `OTHER` is nothing that a plugin or a library can be."""

    EXECUTABLE = "executable"
    LIBRARY = "library"
    BUNDLE = "bundle"
    OTHER = "other"


class LinkKind(StrEnum):
    """How a library is linked: a missing `WEAK` one is fine, a `REEXPORT` lends its symbols."""

    NORMAL = "normal"
    WEAK = "weak"
    REEXPORT = "reexport"
    UPWARD = "upward"
    LAZY = "lazy"


class Lookup(StrEnum):
    """Where the loader looks for an imported symbol.

    `LIBRARY`: only in the named library and what it re-exports (Mach-O two-level namespace).
    `FLAT`: in everything loaded, as ELF always does. `COALESCED`: in every image with weak
    definitions, the importer too (`BIND_SPECIAL_DYLIB_WEAK_LOOKUP`).
    """

    LIBRARY = "library"
    SELF = "self"
    EXECUTABLE = "executable"
    FLAT = "flat"
    COALESCED = "coalesced"


class ExportKind(StrEnum):
    """`EXPORT_SYMBOL_FLAGS_KIND_*` of `mach-o/loader.h`, or `STT_TLS` and `SHN_ABS` of ELF."""

    REGULAR = "regular"
    THREAD_LOCAL = "thread-local"
    ABSOLUTE = "absolute"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One architecture's place in a fat file."""

    architecture: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """A library that is loaded with this one, by the name written in the file."""

    name: str
    kind: LinkKind = LinkKind.NORMAL


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class NeededVersion:
    """A symbol version that a library must define for this binary to load (ELF verneed)."""

    library: str
    version: str
    weak: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """A symbol that the loader looks for; on ELF `library` is the one its version comes from."""

    name: str
    lookup: Lookup
    library: str | None = None
    version: str | None = None
    weak: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A symbol on offer; with `source`, the loader looks for that one instead."""

    name: str
    kind: ExportKind = ExportKind.REGULAR
    weak: bool = False
    source: Import | None = None
    version: str | None = None
    default: bool = True


@dataclass(frozen=True, slots=True)
class Exports(ABC):
    """The symbols on offer, looked up in the file's own table and never all unpacked."""

    @abstractmethod
    def find(self, name: str) -> Export | None:
        """Look one name up, whatever its version."""

    @abstractmethod
    def __iter__(self) -> Iterator[Export]:
        """Give every symbol; for tests and suggestions, as it is slow on a big library."""

    @abstractmethod
    def pieces(self) -> Mapping[str, View]:
        """Give the raw tables, enough to build the same lookup again."""

    def provides(self, wanted: Import) -> bool:
        """Return whether the loader would bind `wanted` to this binary, once it looks here."""
        return self.find(wanted.name) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """One thin binary. `imports` is None when it was read for its exports only."""

    format: Format
    architecture: str
    file_type: FileType
    system: str
    """`macos`, `ios`..., or `linux`."""
    floor: Version | None
    """The oldest macOS, or on Linux the oldest glibc, that can load it."""
    name: str | None
    """Install name or SONAME."""
    libraries: tuple[Library, ...]
    rpaths: tuple[str, ...]
    """`LC_RPATH`, or `DT_RPATH`, which the loader ignores if there is a `DT_RUNPATH`."""
    runpaths: tuple[str, ...]
    needed_versions: tuple[NeededVersion, ...]
    defined_versions: tuple[str, ...]
    imports: Sequence[Import] | None
    exports: Exports
