"""From a wheel to its facts, in one pass over the members that are binaries.

Nothing is unpacked to disk but the tables of a binary that are needed, and those only while it is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from metalock.audit.archive import Archive
from metalock.audit.facts import OUTSIDE, WheelFacts
from metalock.binaries import Binary, FileType, Format, InvalidBinary, read_stream, slices, sniff
from metalock.binaries.stream import HEAD_SIZE
from metalock.binaries.view import View
from metalock.errors import UnreadableWheelError
from metalock.parsing import parse_headers
from metalock.platforms import Platform
from metalock.records import IN_SITE_PACKAGES, parse_record, scheme_of, script_names, wheel_digest

GIANT = 256 << 20
"""Bytes from which on a binary is a provider, of which only the exports matter.

Of TensorFlow's, the imports take longer than all the rest; and what follows the exports isn't inflated,
not even for its CRC: the wheel's hash is checked.
"""
_MOST_METADATA = 16 << 20
_THREADS = 2
"""One for the giant, one for all others: they take about the same time, mostly inflating."""
_MAGIC_SIZE = 4
_SYSTEMS = {Format.MACH_O: "macos", Format.ELF: "linux"}
_JAVA = ".class"
"""Java's files begin with the same four bytes as fat Mach-O."""


def read_wheel(
    stream: IO[bytes], file: str, sha256: str, platform: Platform, *, scratch: Path | None = None
) -> WheelFacts:
    """Read an open wheel; raise `UnreadableWheelError` if it isn't one.

    Temporary files are in `scratch`, unnamed.
    """
    try:
        name, version, _, _ = parse_wheel_filename(file)
    except InvalidWheelFilename as error:
        raise UnreadableWheelError(file, str(error)) from None
    archive = Archive(file, stream)
    described = _metadata_of(archive, name)
    try:
        metadata = parse_headers(archive.read(described, _MOST_METADATA))
    except ValueError as error:
        raise archive.fault(str(error), described) from None
    found = _Binaries(platform, scratch)
    begun = [
        (member, path)
        for member, path in _installed(archive, name)
        if not member.endswith(_JAVA) and sniff(archive.start(member, _MAGIC_SIZE))
    ]
    archive.admit(member for member, _ in begun)
    begun.sort(key=lambda pair: (-archive.members[pair[0]].file_size, pair))
    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(lambda pair: found.add(archive, *pair), begun):
            pass
    return WheelFacts(
        name=name,
        version=str(version),
        file=file,
        sha256=sha256,
        requires=tuple(str(text) for text in metadata.get_all("Requires-Dist", ())),
        requires_python=str(wanted) if (wanted := metadata.get("Requires-Python")) is not None else None,
        paths=tuple(sorted(path for _, path in _installed(archive, name))),
        binaries=dict(sorted(found.binaries.items())),
        foreign=dict(sorted(found.foreign.items())),
        numpy=dict(sorted(found.numpy.items())),
        record=_record_digest(archive, described.removesuffix("METADATA")),
        unreadable=dict(sorted(found.unreadable.items())),
    )


def _metadata_of(archive: Archive, name: str) -> str:
    """Return the one `NAME-VERSION.dist-info/METADATA` at the top (PEP 427)."""
    tops = [member.split("/") for member in archive.members if member.endswith(".dist-info/METADATA")]
    names = [top for top, *rest in tops if len(rest) == 1 and canonicalize_name(top.split("-")[0]) == name]
    if len(names) != 1:
        raise archive.fault(f"has {len(names) or 'no'} METADATA of {name}")
    return f"{names[0]}/METADATA"


def _record_digest(archive: Archive, info: str) -> str:
    """Return the digest of the RECORD in the folder `info`, or nothing if there is none that can be read."""
    if f"{info}RECORD" not in archive.members:
        return ""
    points = f"{info}entry_points.txt"
    scripts = archive.read(points, _MOST_METADATA) if points in archive.members else b""
    try:
        entries = parse_record(archive.read(f"{info}RECORD", _MOST_METADATA).decode())
    except ValueError:  # a RecordError, or not UTF-8
        return ""
    return wheel_digest(entries, script_names(scripts.decode("utf-8", "replace")))


def _installed(archive: Archive, name: str) -> Iterator[tuple[str, str]]:
    """Give members, and where installers put them: see "Spreading" in PEP 427."""
    for member in archive.members:
        scheme, path = scheme_of(member)
        if scheme is None or scheme in IN_SITE_PACKAGES:
            yield member, path
        elif scheme == "headers":
            yield member, f"{OUTSIDE}/headers/{name}/{path}"
        else:
            yield member, f"{OUTSIDE}/{member.partition('/')[2]}"


@dataclass(slots=True)
class _Binaries:
    """What is found out about each binary, by the path that it is installed at."""

    platform: Platform
    scratch: Path | None
    binaries: dict[str, Binary] = field(default_factory=dict)
    foreign: dict[str, tuple[str, ...]] = field(default_factory=dict)
    numpy: dict[str, int] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)

    def add(self, archive: Archive, member: str, path: str) -> None:
        try:
            self._add(archive, member, path)
        except InvalidBinary as error:
            self.unreadable[path] = str(error)

    def _add(self, archive: Archive, member: str, path: str) -> None:
        wanted = self.platform.machine
        giant = archive.members[member].file_size >= GIANT
        numpy = _NumpyWatch()
        with archive.open(member, numpy.feed) as stream:
            head = stream.peek(HEAD_SIZE)
            form = sniff(head)
            if form is not (Format.MACH_O if self.platform.is_macos else Format.ELF):
                self.foreign[path] = (_SYSTEMS[form],) if form else ()
                return
            found = tuple(one.architecture for one in slices(head))
            if found and wanted not in found:
                self.foreign[path] = found
                return
            with TemporaryFile(dir=self.scratch) as spool:
                binary = read_stream(
                    stream,
                    spool,
                    architecture=wanted if found else None,
                    size=archive.members[member].file_size,
                    coalesced=not giant,
                )
            if not giant:
                stream.drain()
        if binary.file_type is FileType.OTHER:
            return
        if binary.architecture != wanted:
            self.foreign[path] = (binary.architecture,)
            return
        if binary.system != _SYSTEMS[binary.format]:
            self.foreign[path] = (binary.system,)
            return
        self.binaries[path] = _detached(binary)
        if numpy.major:
            self.numpy[path] = numpy.major


def _detached(binary: Binary) -> Binary:
    """Return the same without the mapped spool: a wheel may have more binaries than a process open files."""
    exports = binary.exports
    views = {one.name: getattr(exports, one.name) for one in fields(exports)}
    copies = {
        name: View(view.raw(), 0, len(view), view.origin, view.name)
        for name, view in views.items()
        if isinstance(view, View)
    }
    return replace(binary, exports=replace(exports, **copies))


_NUMPY = b"core._multiarray_umath\0"
_NUMPY_PREFIXES = {b"numpy._": 2, b"numpy.": 1}
_SEAM = len(_NUMPY) + 7


class _NumpyWatch:
    """Finds which NumPy's headers an extension was compiled with, by the module that `import_array` imports.

    Those of NumPy 2 try its new name and then the old one; those of NumPy 1 know the old one alone, and
    such an extension fails to import with NumPy 2 (`__multiarray_api.c`; "NumPy 2.0 migration guide").
    """

    def __init__(self) -> None:
        self.major = 0
        self._tail = b""

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes, and across the seam to those before."""
        self._search(self._tail + chunk[:_SEAM])
        self._search(chunk)
        self._tail = chunk[-_SEAM:]

    def _search(self, data: bytes) -> None:
        at = data.find(_NUMPY)
        while at >= 0:
            for prefix, major in _NUMPY_PREFIXES.items():
                if data.endswith(prefix, 0, at):
                    self.major = max(self.major, major)
            at = data.find(_NUMPY, at + 1)
