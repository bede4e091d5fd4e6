from __future__ import annotations

import io
import tempfile
from struct import pack, pack_into

import pytest
from make_samples import (
    ARM64,
    EXPORTS,
    FAT,
    MACHO,
    MachO,
)

from metalock.binaries import (
    Binary,
    Format,
    InvalidBinary,
    Slice,
    read,
    read_stream,
    slices,
    sniff,
)


def streamed(
    data: bytes, *, architecture: str | None = None, imports: bool = True, size: int | None = None
) -> Binary:
    with tempfile.TemporaryFile() as spool:
        return read_stream(io.BytesIO(data), spool, architecture=architecture, imports=imports, size=size)


def facts(binary: Binary) -> list[object]:
    return [
        [getattr(binary, name) for name in Binary.__dataclass_fields__ if name != "exports"],
        list(binary.exports),
    ]


@pytest.mark.parametrize("sample", FAT)
def test_slices(sample: str) -> None:
    data = FAT[sample]
    first, second = slices(data)
    thin = MACHO["x86_64-opcodes"], MACHO["arm64-chained"]
    assert first == Slice(architecture="x86_64", offset=first.offset, size=len(thin[0]))
    assert second == Slice(architecture="arm64", offset=second.offset, size=len(thin[1]))
    for architecture, alone in zip(("x86_64", "arm64"), thin, strict=True):
        whole = facts(read(data, architecture=architecture))
        assert whole == facts(read(alone)) == facts(streamed(data, architecture=architecture))


@pytest.mark.parametrize("sample", FAT)
def test_a_slice_ends_within_the_file(sample: str) -> None:
    first, second = slices(FAT[sample])
    end = second.offset + second.size
    assert facts(streamed(FAT[sample], architecture="arm64", size=end)) == facts(
        read(FAT[sample], architecture="arm64")
    )
    with pytest.raises(InvalidBinary, match="is cut off: slice arm64 ends behind the file's end"):
        streamed(FAT[sample], architecture="arm64", size=end - 1)
    assert streamed(FAT[sample], architecture="x86_64", size=end - 1).architecture == "x86_64"
    assert first.offset + first.size < end


def test_thin_files_have_no_slices() -> None:
    assert slices(MACHO["arm64-chained"]) == ()


def test_a_slice_has_to_be_chosen() -> None:
    with pytest.raises(InvalidBinary, match=r"a slice has to be chosen.*x86_64, arm64"):
        read(FAT["fat"])
    with pytest.raises(InvalidBinary, match="no slice for arm64e"):
        read(FAT["fat"], architecture="arm64e")


def test_the_wrong_architecture_is_reported() -> None:
    with pytest.raises(InvalidBinary, match="built for arm64, not for x86_64"):
        read(MACHO["arm64-chained"], architecture="x86_64")


def fat_header(*rows: tuple[int, ...]) -> bytes:
    return pack(">2I", 0xCAFEBABE, len(rows)) + b"".join(pack(">5I", *row) for row in rows)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (pack(">2I", 0xCAFEBABE, 0x37), "too many"),
        (fat_header((7, 3, 8, 100, 0)), "overlaps"),
        (fat_header((7, 3, 64, 100, 0), (12, 0, 100, 100, 0)), "overlaps"),
        (fat_header((7, 3, 64, 4, 0), (7, 3, 128, 4, 0)), "same architecture"),
        (fat_header((12 | 1 << 24, 0, 64, 400, 0)), "is outside"),
        (pack(">2I", 0xCAFEBABE, 3), "is outside"),
    ],
)
def test_odd_slices(data: bytes, problem: str) -> None:
    with pytest.raises(InvalidBinary, match=problem):
        read(data, architecture="arm64")


def test_slice_beyond_the_end_of_a_stream() -> None:
    cut = FAT["fat"][:-1200]
    with pytest.raises(InvalidBinary, match="is outside"):
        streamed(cut, architecture="arm64")


@pytest.mark.parametrize("sample", MACHO)
def test_stream_gives_the_same(sample: str) -> None:
    assert facts(streamed(MACHO[sample])) == facts(read(MACHO[sample]))


def test_provider_is_read_without_imports() -> None:
    assert streamed(MACHO["arm64-chained"], imports=False).imports is None


def test_stream_stops_after_the_last_table() -> None:
    stream = io.BytesIO(MACHO["arm64-chained"] + bytes(10_000_000))
    with tempfile.TemporaryFile() as spool:
        read_stream(stream, spool)
        assert spool.tell() < 100_000
    assert stream.tell() < 1_000_000


def test_tables_far_from_the_head() -> None:
    data = bytearray(MACHO["arm64-reexports"])
    at = data.index(pack("<2I", 0x80000033, 16))
    offset, size = (int.from_bytes(data[at + n : at + n + 4], "little") for n in (8, 12))
    table = data[offset : offset + size]
    far = 3_000_000
    pack_into("<I", data, at + 8, far)
    moved = bytes(data).ljust(far, b"\xee") + bytes(table)
    assert facts(streamed(moved)) == facts(read(MACHO["arm64-reexports"]))


def test_more_load_commands_than_the_first_read_holds() -> None:
    rpaths = tuple(f"@loader_path/{number:01000}" for number in range(100))
    data = MachO(rpaths=rpaths, exports=EXPORTS).build()
    assert streamed(data).rpaths == rpaths


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "magic"),
        (b"\xca\xfe", "magic"),
        (b"\xfe\xed\xfa\xcf" + bytes(60), "neither 64-bit Mach-O nor ELF"),
        (b"\xce\xfa\xed\xfe" + bytes(60), "neither 64-bit Mach-O nor ELF"),
        (pack("<8I", 0xFEEDFACF, *ARM64, 6, 1, 1 << 24, 0, 0), "load commands are too many"),
        (pack("<8I", 0xFEEDFACF, *ARM64, 6, 1, 64, 0, 0), "file.* is outside"),
        (pack("<10I", 0xFEEDFACF, *ARM64, 6, 1, 8, 0, 0, 0x1B, 4), "a size of 4"),
        (pack("<10I", 0xFEEDFACF, *ARM64, 6, 1, 8, 0, 0, 0x1B, 80), "load command 0"),
        (pack("<10I", 0xFEEDFACF, *ARM64, 6, 2, 8, 0, 0, 0x1B, 8), "record of 8 bytes"),
    ],
)
def test_broken_heads(data: bytes, problem: str) -> None:
    for reader in (read, streamed):
        with pytest.raises(InvalidBinary, match=problem):
            reader(data)


def test_sniff() -> None:
    assert sniff(MACHO["arm64-chained"]) is Format.MACH_O
    assert sniff(FAT["fat-64"]) is Format.MACH_O
    assert sniff(b"PK\3\4") is None
