"""Reading a binary from a buffer, or out of a stream that is gone through once and forwards.

Of TensorFlow's 570 MB library some 20 MB are needed. The rest is dropped as it streams by, and
what follows the last part is not read at all: spooling all of it takes as long as inflating it.
"""

from __future__ import annotations

import mmap
from typing import IO, TYPE_CHECKING, Protocol

from metalock.binaries import elf, elf_header, load_commands, macho
from metalock.binaries.model import Binary, Format, InvalidBinary, Slice
from metalock.binaries.view import Image, View

if TYPE_CHECKING:
    from collections.abc import Iterable

    from metalock.binaries.view import Buffer

HEAD_SIZE = 1 << 16
# Between two chunks, a thread waits for the one that parses: small ones would be slowed down by it.
_CHUNK = 1 << 20
_EVERYTHING = range(1 << 62)


class Readable(Protocol):
    """All that is asked of a stream."""

    def read(self, size: int, /) -> bytes:
        """Give at most `size` bytes, and none at the end only."""


def sniff(start: bytes) -> Format | None:
    """Return the format by the first four bytes, if it is one that can be read."""
    magic = start[:4]
    if magic == elf_header.MAGIC:
        return Format.ELF
    return Format.MACH_O if magic in {load_commands.THIN_MAGIC, *load_commands.FAT_MAGICS} else None


def slices(start: bytes) -> tuple[Slice, ...]:
    """List the slices of a fat file by its first kilobytes; a thin one has none."""
    return load_commands.slices(View.whole(start)) if start[:4] in load_commands.FAT_MAGICS else ()


def read(buffer: Buffer, *, architecture: str | None = None, imports: bool = True) -> Binary:
    """Read a whole file that is at hand; `architecture` picks the slice of a fat one."""
    file = View.whole(buffer)
    chosen = _choose(slices(buffer[:HEAD_SIZE]), architecture)
    if chosen:
        part = file.part(chosen.offset, chosen.size, f"slice {chosen.architecture}")
        file = View(part.buffer, part.start, part.stop, 0, "file")
    return _read(Image((file,)), architecture, len(file), imports=imports, coalesced=True)


def read_stream(
    stream: Readable,
    spool: IO[bytes],
    *,
    architecture: str | None = None,
    size: int | None = None,
    imports: bool = True,
    coalesced: bool = True,
) -> Binary:
    """Read from a stream; what is needed of it goes to `spool`, an empty file open for writing.

    The binary keeps that file mapped, so it may be closed or unlinked, but not written to.
    With a `size`, that of the file, a binary whose segments end behind it is refused. Without `imports`
    only the exports are read. Without `coalesced` a huge Mach-O library is read twice as fast: nearly all
    imports of TensorFlow's are C++ symbols that it defines itself.
    """
    source = _Forward(stream)
    chosen = _choose(slices(source.peek(HEAD_SIZE)), architecture)
    if chosen:
        if size is not None and chosen.offset + chosen.size > size:
            raise InvalidBinary(f"is cut off: slice {chosen.architecture} ends behind the file's end")
        source.skip(chosen.offset)
        source.limit(chosen.size)
        size = chosen.size
    spans = _keep(source, _needed(source, coalesced=coalesced), spool)
    spool.flush()
    kept = sum(stop - start for start, stop in spans)
    buffer = mmap.mmap(spool.fileno(), kept, access=mmap.ACCESS_READ) if kept else b""
    views = []
    position = 0
    for start, stop in spans:
        views.append(View(buffer, position, position + stop - start, start, "file"))
        position += stop - start
    return _read(Image(tuple(views)), architecture, size, imports=imports, coalesced=coalesced)


def _choose(found: Iterable[Slice], architecture: str | None) -> Slice | None:
    by_name = {one.architecture: one for one in found}
    if not by_name:
        return None
    chosen = by_name.get(architecture or "")
    if chosen is None:
        wanted = f"no slice for {architecture}" if architecture else "a slice has to be chosen"
        raise InvalidBinary(f"{wanted} in a fat file with {', '.join(by_name)}")
    return chosen


def _read(
    image: Image, architecture: str | None, size: int | None, *, imports: bool, coalesced: bool
) -> Binary:
    magic = image.part(0, 4, "magic").raw()
    if magic == elf_header.MAGIC:
        binary = elf.read(image, size, imports=imports)
    elif magic == load_commands.THIN_MAGIC:
        binary = macho.read(image, size, imports=imports, coalesced=coalesced)
    else:
        raise InvalidBinary(f"neither 64-bit Mach-O nor ELF: begins with {magic.hex()}", offset=0)
    if architecture not in {None, binary.architecture}:
        raise InvalidBinary(f"built for {binary.architecture}, not for {architecture}")
    return binary


def _needed(source: _Forward, *, coalesced: bool) -> list[range]:
    head = _head(source)
    start = head.raw()[:4]
    if start == elf_header.MAGIC:
        return elf.needed(head) or [_EVERYTHING]
    if start == load_commands.THIN_MAGIC:
        return macho.needed(head, coalesced=coalesced)
    return [range(len(start))]


def _head(source: _Forward) -> View:
    """Return the start of the binary: all of its load commands, if it is Mach-O."""
    head = View.whole(source.peek(HEAD_SIZE))
    if head.raw()[:4] != load_commands.THIN_MAGIC:
        return head
    return View.whole(source.peek(max(load_commands.head_size(head), HEAD_SIZE)))


class _Forward:
    """A stream that is read forwards, with a look ahead."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._held = b""
        self._left: int | None = None

    def limit(self, size: int) -> None:
        """End the stream `size` bytes from here."""
        self._held = self._held[:size]
        self._left = size - len(self._held)

    def peek(self, size: int) -> bytes:
        """Look at the next bytes without taking them: fewer where the stream ends."""
        while len(self._held) < size and (chunk := self._more(size - len(self._held))):
            self._held += chunk
        return self._held[:size]

    def take(self, size: int) -> bytes:
        """Take some of the next bytes; none means that the stream has ended."""
        if self._held:
            taken, self._held = self._held[:size], self._held[size:]
            return taken
        return self._more(size)

    def skip(self, size: int) -> None:
        while size and (chunk := self.take(min(size, _CHUNK))):
            size -= len(chunk)

    def _more(self, size: int) -> bytes:
        if self._left is None:
            return self._stream.read(size)
        chunk = self._stream.read(min(size, self._left))
        self._left -= len(chunk)
        return chunk


def _keep(source: _Forward, wanted: Iterable[range], spool: IO[bytes]) -> list[tuple[int, int]]:
    """Copy the ranges, one after the other, and say which parts of the stream those are."""
    spans: list[tuple[int, int]] = []
    position = 0
    for one in sorted(wanted, key=lambda one: one.start):
        start = max(one.start, position)
        source.skip(start - position)
        position = start
        while position < one.stop and (chunk := source.take(min(one.stop - position, _CHUNK))):
            spool.write(chunk)
            position += len(chunk)
        if spans and spans[-1][1] == start:
            spans[-1] = (spans[-1][0], position)
        elif position > start:
            spans.append((start, position))
    return spans
