"""A wheel's zip file, which is not trusted: names checked, sizes bounded, every fault with its member."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import IO, Self
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from metalock.audit.inflate import Inflated, InflateError, open_member
from metalock.errors import UnreadableWheelError

MOST_MEMBERS = 200_000
MOST_INFLATED = 4 << 30
"""Bytes of all members that are read: the largest TensorFlow has a half of it."""
CHUNK = 1 << 20
_ENCRYPTED = 0x1
_LOCAL_HEADER = struct.Struct("<4s22x2H")
_LOCAL_MAGIC = b"PK\3\4"
_SNIFFED = 256
_SUSPECT = re.compile(r"\A[A-Za-z]:|[\\\0-\x1f]|(?:\A|/)\.{0,2}(?:/|\Z)")
_FAULTS = (
    BadZipFile, InflateError, zlib.error, struct.error,
    EOFError, OSError, RuntimeError, ValueError, OverflowError,
)  # fmt: skip


@contextmanager
def _faults(file: str, member: str | None) -> Iterator[None]:
    """Turn all that zipfile and the inflaters may raise into the one error that names the place."""
    try:
        yield
    except _FAULTS as error:
        problem = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnreadableWheelError(file, problem, member=member) from None


class Archive:
    """The members of a wheel by name. The stream has to stay open."""

    def __init__(self, file: str, stream: IO[bytes]) -> None:
        self.file = file
        self._stream = stream
        with _faults(file, None):
            self._zip = ZipFile(stream)
        infos = self._zip.infolist()
        if len(infos) > MOST_MEMBERS:
            raise self.fault(f"{len(infos)} members are more than any wheel has")
        self.members: dict[str, ZipInfo] = {}
        for info in infos:
            self._check(info)
            if not info.is_dir():
                self.members[info.filename] = info

    def fault(self, problem: str, member: str | None = None) -> UnreadableWheelError:
        return UnreadableWheelError(self.file, problem, member=member)

    def _check(self, info: ZipInfo) -> None:
        problem = name_fault(info.orig_filename)
        if info.filename in self.members:
            problem = "is there twice"
        elif info.flag_bits & _ENCRYPTED:
            problem = "is encrypted"
        elif info.compress_type not in {ZIP_STORED, ZIP_DEFLATED}:
            problem = f"is compressed by method {info.compress_type}, and wheels are deflated"
        if problem:
            raise self.fault(problem, info.orig_filename)

    def start(self, name: str, size: int) -> bytes:
        """Return the first bytes of a member, which show its kind: much cheaper than to open it."""
        info = self.members[name]
        with _faults(self.file, name):
            self._stream.seek(info.header_offset)
            magic, name_size, extra_size = _LOCAL_HEADER.unpack(self._stream.read(_LOCAL_HEADER.size))
            if magic != _LOCAL_MAGIC:
                raise BadZipFile("no header where one should be")
            self._stream.seek(name_size + extra_size, 1)
            data = self._stream.read(min(info.compress_size, _SNIFFED))
            if info.compress_type == ZIP_DEFLATED:
                data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size)
        if len(data) < min(size, info.file_size):  # deflated so oddly that it may be on purpose
            with self.open(name) as member:
                return member.peek(size)
        return data[:size]

    def admit(self, names: Iterable[str]) -> None:
        """Raise an error, before any is inflated, for members that unpack to more than a wheel may hold."""
        total = 0
        for name in names:
            total += self.members[name].file_size
            if total > MOST_INFLATED:
                raise self.fault(f"unpacks, with those before it, to over {MOST_INFLATED >> 30} GiB", name)

    def open(self, name: str, watch: Callable[[bytes], None] | None = None) -> Member:
        """Read a member as a stream; all bytes that come by are shown to `watch`."""
        info = self.members[name]
        with _faults(self.file, name):
            return Member(self.file, name, open_member(self._zip, info), watch)

    def read(self, name: str, limit: int) -> bytes:
        """Return the whole content of a small member."""
        if self.members[name].file_size > limit:
            raise self.fault(f"is larger than {limit >> 20} MiB", name)
        with self.open(name) as member:
            return b"".join(iter(lambda: member.read(CHUNK), b""))


class Member:
    """A member as it is inflated: a stream with a look ahead.

    It ends where the archive says, and its CRC is checked at the end.
    """

    def __init__(
        self,
        file: str,
        name: str,
        stream: Inflated | IO[bytes],
        watch: Callable[[bytes], None] | None,
    ) -> None:
        self._place = file, name
        self._stream = stream
        self._watch = watch
        self._held = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def peek(self, size: int) -> bytes:
        """Look at the first bytes, before any is read; fewer only if the member has no more."""
        while len(self._held) < size and (chunk := self._more(size - len(self._held))):
            self._held += chunk
        return self._held[:size]

    def read(self, size: int, /) -> bytes:
        """Take some of the next bytes, at most `size`; none means the end."""
        if self._held:
            taken, self._held = self._held[:size], self._held[size:]
            return taken
        return self._more(size)

    def drain(self) -> None:
        """Read to the end, so that its CRC is checked."""
        while self.read(CHUNK):
            pass

    def _more(self, size: int) -> bytes:
        with _faults(*self._place):
            chunk = self._stream.read(size)
        if self._watch is not None:
            self._watch(chunk)
        return chunk


def name_fault(name: str) -> str | None:
    """Return what is wrong with a member's name, or None.

    >>> name_fault("a/../../b")
    'leads out of the wheel'
    """
    if not _SUSPECT.search(name.removesuffix("/")):
        return None
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        return "is an absolute path"
    return "leads out of the wheel" if ".." in name.split("/") else "is no plain path"
