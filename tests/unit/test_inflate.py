from __future__ import annotations

import io
from struct import pack
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metalock.audit.inflate import Inflated, InflateError

REPEATED = st.builds(lambda part, times: part * times, st.binary(max_size=99), st.integers(1, 9999))


def deflated(data: bytes, **changes: int) -> Inflated:
    file = io.BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        archive.writestr("a", data)
    archive = ZipFile(file)
    info = archive.getinfo("a")
    for name, value in changes.items():
        setattr(info, name, value)
    return Inflated(archive, info)


def whole(stream: Inflated, size: int) -> bytes:
    return b"".join(iter(lambda: stream.read(size), b""))


@given(st.one_of(st.binary(max_size=999), REPEATED), st.integers(1, 1 << 20))
def test_gives_what_was_deflated(data: bytes, size: int) -> None:
    stream = deflated(data)
    assert len(stream.read(size)) <= size
    assert whole(deflated(data), max(size, 99)) == data


def test_the_info_is_left_alone() -> None:
    """zipfile opens the member from it again."""
    file = io.BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        archive.writestr("a", b"text")
    with ZipFile(file) as archive:
        assert whole(Inflated(archive, archive.getinfo("a")), 9) == b"text"
        assert archive.read("a") == b"text"


@pytest.mark.parametrize(
    "changes", [{"CRC": 0}, {"file_size": 99}, {"file_size": 9999, "CRC": 7}, {"file_size": 0}]
)
def test_what_the_archive_states_is_checked(changes: dict[str, int]) -> None:
    stream = deflated(b"0123456789" * 100, **changes)
    with pytest.raises(BadZipFile, match="Bad CRC-32 for file 'a'"):
        whole(stream, 64)


def test_data_that_ends_too_early() -> None:
    with pytest.raises(BadZipFile, match="CRC"):
        whole(deflated(b"0123456789" * 100, compress_size=9), 64)


def test_no_deflate_data() -> None:
    file = io.BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        archive.writestr("a", b"text")
    data = bytearray(file.getvalue())
    at = data.index(b"a", 30) + 1
    data[at : at + 1] = pack("<B", 0xFF)
    archive = ZipFile(io.BytesIO(data))
    with pytest.raises(InflateError, match="Invalid deflate block"):
        Inflated(archive, archive.getinfo("a")).read(9)
