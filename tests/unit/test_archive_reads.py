"""archive: what is read of a member is all of it, however its data is deflated."""

from __future__ import annotations

import io
import random
import struct
import zlib
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import pytest
from make_wheels import FILE, METADATA, make_wheel

from metalock.audit.archive import Archive
from metalock.audit.wheel import read_wheel
from metalock.errors import UnreadableWheelError
from metalock.platforms import Platform
from metalock.records import parse_record, wheel_digest

READ_AT_ONCE = 1 << 18
"""Bytes that are read of a deflated member at a time."""


def stored_block(data: bytes, *, last: bool = False) -> bytes:
    return struct.pack("<B2H", last, len(data), len(data) ^ 0xFFFF) + data


def archive_with(content: bytes, deflated: bytes) -> Archive:
    """Return an archive whose member `a` has that deflated form."""
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", ZIP_STORED) as file:
        file.writestr("a", deflated)
    data = bytearray(buffer.getvalue())
    for at in (8, data.index(b"PK\1\2") + 10):
        sizes = struct.pack("<3I", zlib.crc32(content), len(deflated), len(content))
        data[at : at + 2] = struct.pack("<H", ZIP_DEFLATED)
        data[at + 6 : at + 18] = sizes
    return Archive("a.whl", io.BytesIO(data))


@pytest.mark.parametrize("method", [ZIP_STORED, ZIP_DEFLATED])
def test_a_member_that_takes_several_reads(method: int) -> None:
    body = random.Random(1).randbytes(3 * READ_AT_ONCE + 7)  # noqa: S311 - cannot be deflated to less
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", method) as file:
        file.writestr("a", body)
    assert Archive("a.whl", buffer).read("a", len(body)) == body


def test_the_digest_of_a_large_record() -> None:
    """TensorFlow's RECORD has more than 10,000 entries."""
    hashes = [random.Random(number).randbytes(32).hex() for number in range(8000)]  # noqa: S311
    record = "".join(f"pkg/{number}.py,sha256={digest},{number}\n" for number, digest in enumerate(hashes))
    info = "sample-1.0.dist-info/"
    data = make_wheel({f"{info}RECORD": record.encode()}, metadata=METADATA)
    assert ZipFile(io.BytesIO(data)).getinfo(f"{info}RECORD").compress_size > READ_AT_ONCE
    facts = read_wheel(io.BytesIO(data), FILE, "0" * 64, Platform.OSX_ARM64)
    assert facts.record == wheel_digest(parse_record(record), frozenset())


def test_the_first_bytes_of_a_member_may_come_in_pieces() -> None:
    content = b"\x7fELF" + bytes(range(60))
    empty = stored_block(b"")
    first = stored_block(content[:4])
    padding = empty * ((READ_AT_ONCE - len(first)) // len(empty))
    deflated = padding + first + stored_block(content[4:], last=True)
    assert len(padding + first) == READ_AT_ONCE
    archive = archive_with(content, deflated)
    assert archive.start("a", 16) == content[:16]
    with archive.open("a") as member:
        assert member.peek(32) == content[:32]
        assert b"".join(iter(lambda: member.read(16), b"")) == content


def test_a_member_whose_header_is_not_where_it_should_be() -> None:
    data = bytearray(make_wheel({"a.so": b"x" * 100}))
    data[:4] = b"PK\7\x08"
    with pytest.raises(UnreadableWheelError, match=r"member 'a\.so': no header where one should be"):
        Archive("a.whl", io.BytesIO(data)).start("a.so", 4)
