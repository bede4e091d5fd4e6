"""Readers of Mach-O and ELF: small, bounded, and only for what a loader would look at."""

from metalock.binaries.model import (
    Binary,
    Export,
    ExportKind,
    Exports,
    FileType,
    Format,
    Import,
    InvalidBinary,
    Library,
    LinkKind,
    Lookup,
    NeededVersion,
    Slice,
    Version,
)
from metalock.binaries.stream import read, read_stream, slices, sniff

__all__ = [
    "Binary",
    "Export",
    "ExportKind",
    "Exports",
    "FileType",
    "Format",
    "Import",
    "InvalidBinary",
    "Library",
    "LinkKind",
    "Lookup",
    "NeededVersion",
    "Slice",
    "Version",
    "read",
    "read_stream",
    "slices",
    "sniff",
]
