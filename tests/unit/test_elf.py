from __future__ import annotations

import io
import tempfile
from struct import pack, pack_into

import lief
import pytest
from fuzz_readers import exercise
from hypothesis import given
from hypothesis import strategies as st
from make_elf import Elf, Needed, Symbol, Undefined
from make_elf import gnu_hash as expected_gnu_hash
from make_elf import sysv_hash as expected_sysv_hash
from make_samples import ELF

from metalock.binaries import (
    Binary,
    Export,
    ExportKind,
    FileType,
    Format,
    Import,
    InvalidBinary,
    Library,
    Lookup,
    NeededVersion,
    read,
    read_stream,
    sniff,
)
from metalock.binaries.elf_exports import gnu_hash, sysv_hash


def streamed(data: bytes) -> Binary:
    with tempfile.TemporaryFile() as spool:
        return read_stream(io.BytesIO(data), spool)


def flat(name: str, version: str | None = None) -> Import:
    return Import(name=name, lookup=Lookup.FLAT, version=version)


def test_facts() -> None:
    binary = read(ELF["elf-gnu-hash"])
    assert (binary.format, binary.architecture) == (Format.ELF, "x86_64")
    assert (binary.file_type, binary.name) == (FileType.LIBRARY, "libsample.so.1")
    assert (binary.system, binary.floor) == ("linux", (2, 14))
    assert binary.libraries == (Library(name="libc.so.6"), Library(name="libstdc++.so.6"))
    assert (binary.rpaths, binary.runpaths) == ((), ("$ORIGIN/../solib", "/opt/lib"))
    assert binary.defined_versions == ("SAMPLE_1", "SAMPLE_2")
    assert binary.needed_versions == (
        NeededVersion(library="libc.so.6", version="GLIBC_2.14"),
        NeededVersion(library="libc.so.6", version="GLIBC_2.9"),
        NeededVersion(library="libstdc++.so.6", version="GLIBCXX_3.4"),
    )


def test_rpath_is_not_runpath() -> None:
    binary = read(ELF["elf-sysv-hash"])
    assert (binary.rpaths, binary.runpaths) == (("$ORIGIN", "/usr/local/lib"), ())
    assert (binary.floor, binary.needed_versions) == (None, ())


def test_private_versions_are_no_floor() -> None:
    assert read(Elf(needs=(Needed("libc.so.6", ((2, "GLIBC_PRIVATE"),)),)).build()).floor is None


def test_packed_relocations_need_glibc_2_36() -> None:
    needs = (Needed("libc.so.6", ((2, "GLIBC_2.17"), (3, "GLIBC_ABI_DT_RELR"))),)
    assert read(Elf(needs=needs).build()).floor == (2, 36)


def test_other_machine() -> None:
    assert read(ELF["elf-old-layout"]).architecture == "arm64"
    assert read(Elf(machine=243).build()).architecture == "machine 243"
    with pytest.raises(InvalidBinary, match="built for arm64, not for x86_64"):
        read(ELF["elf-old-layout"], architecture="x86_64")


def test_imports() -> None:
    assert read(ELF["elf-gnu-hash"]).imports == (
        Import(name="TF_NewBuffer", lookup=Lookup.FLAT),
        Import(name="_ZSt4cout", lookup=Lookup.FLAT, library="libstdc++.so.6", version="GLIBCXX_3.4"),
        Import(name="__gmon_start__", lookup=Lookup.FLAT, weak=True),
        Import(name="memcpy", lookup=Lookup.FLAT, library="libc.so.6", version="GLIBC_2.14"),
    )


def test_imports_of_a_library_without_exports() -> None:
    # an empty GNU hash table, as binutils writes it, does not say how many symbols there are
    binary = read(ELF["elf-no-exports"])
    assert [one.name for one in binary.imports or ()] == ["TF_NewBuffer", "__gmon_start__"]
    assert (list(binary.exports), binary.exports.find("TF_NewBuffer")) == ([], None)


@pytest.mark.parametrize("sample", ["elf-gnu-hash", "elf-sysv-hash", "elf-old-layout"])
def test_every_export_is_found(sample: str) -> None:
    exports = read(ELF[sample]).exports
    names = {one.name for one in exports}
    assert len(names) >= 2
    assert all(exports.find(one.name) == one for one in exports if one.default)
    for missing in ("", "TF_New", "TF_NewStatusX", "TF_NewBuffer", "memcpy", "é"):
        assert exports.find(missing) is None


def test_kinds_of_exports() -> None:
    exports = read(ELF["elf-gnu-hash"]).exports
    assert exports.find("_ZN2tf3fooEv") == Export(name="_ZN2tf3fooEv", weak=True)
    assert exports.find("tls_value") == Export(name="tls_value", kind=ExportKind.THREAD_LOCAL)
    assert exports.find("twice") == Export(name="twice", version="SAMPLE_2")


@pytest.mark.parametrize(
    ("wanted", "provided"),
    [
        (flat("TF_NewStatus"), True),
        (flat("TF_NewStatus", "SAMPLE_1"), True),  # an unversioned definition serves any
        (flat("versioned", "SAMPLE_1"), True),
        (flat("versioned", "SAMPLE_2"), False),
        (flat("versioned"), True),
        (flat("twice", "SAMPLE_1"), True),
        (flat("twice", "SAMPLE_2"), True),
        (flat("twice", "SAMPLE_3"), False),
        (flat("twice"), True),
        (flat("absent"), False),
    ],
)
def test_versions_match_as_in_glibc(wanted: Import, provided: bool) -> None:  # noqa: FBT001
    assert read(ELF["elf-gnu-hash"]).exports.provides(wanted) is provided


def test_unversioned_reference_to_later_versions() -> None:
    def library(*symbols: Symbol) -> Binary:
        return read(Elf(exports=symbols, versions=("A", "B", "C"), name="x").build())

    one = library(Symbol("f", version=3))
    assert one.exports.provides(flat("f"))
    hidden = library(Symbol("f", version=3, hidden=True))
    assert not hidden.exports.provides(flat("f"))
    two = library(Symbol("f", version=3), Symbol("f", version=4))
    assert not two.exports.provides(flat("f"))


def test_library_without_versions_serves_any() -> None:
    exports = read(ELF["elf-sysv-hash"]).exports
    assert exports.provides(flat("TF_NewStatus", "WHATEVER"))


def test_no_hash_table_offers_nothing() -> None:
    data = bytearray(ELF["elf-sysv-hash"])
    pack_into("<Q", data, tag_at(4, "elf-sysv-hash") - 8, 0x6FFFFEF0)
    exports = read(bytes(data)).exports
    assert (list(exports), exports.find("TF_NewStatus")) == ([], None)


@pytest.mark.parametrize("name", ["", "a", "printf", "_ZN10tensorflow6StatusE", "é" * 50])
def test_hashes(name: str) -> None:
    assert gnu_hash(name.encode()) == expected_gnu_hash(name)
    assert sysv_hash(name.encode()) == expected_sysv_hash(name)


@pytest.mark.parametrize("sample", ELF)
def test_stream_gives_the_same(sample: str) -> None:
    whole, stream = read(ELF[sample]), streamed(ELF[sample])
    assert stream.imports == whole.imports
    assert list(stream.exports) == list(whole.exports)
    assert stream.needed_versions == whole.needed_versions


def test_code_is_not_spooled() -> None:
    data = bytearray(ELF["elf-gnu-hash"])
    code = 1_000_000
    # the second loaded segment becomes an executable one at the end
    address = (1 << 30) + len(data)
    data[64 + 56 : 64 + 112] = pack("<2I6Q", 1, 5, len(data), address, 0, code, code, 8)
    moved = bytes(data) + bytes(code)
    with tempfile.TemporaryFile() as spool:
        read_stream(io.BytesIO(moved), spool)
        assert spool.tell() < 10_000


def test_program_headers_at_the_end_of_the_file() -> None:
    # as patchelf may leave them: the whole file has to be kept
    data = bytearray(ELF["elf-gnu-hash"])
    headers = bytes(data[64 : 64 + 168])
    far = 200_000
    pack_into("<Q", data, 32, far)
    moved = bytes(data).ljust(far, b"\0") + headers
    assert streamed(moved).name == read(moved).name == "libsample.so.1"


def patched(offset: int, layout: str, *values: int, sample: str = "elf-gnu-hash") -> bytes:
    data = bytearray(ELF[sample])
    pack_into(layout, data, offset, *values)
    return bytes(data)


def tag_at(tag: int, sample: str = "elf-gnu-hash") -> int:
    data = ELF[sample]
    dynamic = int.from_bytes(data[64 + 112 + 8 : 64 + 112 + 16], "little")
    for at in range(dynamic, len(data), 16):
        if int.from_bytes(data[at : at + 8], "little") == tag:
            return at + 8
    raise LookupError(tag)


STRTAB, SYMTAB, STRSZ, SONAME, RELA, RUNPATH = 5, 6, 10, 14, 7, 29
FLAGS_1, NO_OPEN, PIE = 0x6FFF_FFFB, 0x40, 0x0800_0000
GNU_HASH, VERNEED, VERDEF = 0x6FFFFEF5, 0x6FFFFFFE, 0x6FFFFFFC


@pytest.mark.parametrize(
    "data",
    [
        patched(16, "<H", 2),
        patched(tag_at(RUNPATH) - 8, "<2Q", FLAGS_1, NO_OPEN),
        patched(tag_at(RUNPATH) - 8, "<2Q", FLAGS_1, PIE),
    ],
)
def test_what_dlopen_refuses_is_no_library(data: bytes) -> None:
    assert read(data).file_type is FileType.EXECUTABLE
    assert read(patched(tag_at(RUNPATH) - 8, "<2Q", FLAGS_1, 1)).file_type is FileType.LIBRARY


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\x7fELF", "ELF header"),
        (patched(4, "B", 1), "only 64-bit little-endian"),
        (patched(5, "B", 2), "only 64-bit little-endian"),
        (patched(8, "B", 9), "version 9 of the ABI"),
        (patched(9, "B", 1), "and 01000000000000 after it"),
        (patched(54, "<H", 32), "program headers of 32 bytes"),
        (patched(64, "<I52xI", 0, 0), "no segment is to be loaded"),
        (patched(56, "<H", 900), "program headers .* is outside"),
        (patched(32, "<Q", 2**64 - 8), "program headers .* is outside"),
        (patched(tag_at(STRTAB), "<Q", 1 << 40), "dynamic strings .*outside the loaded segments"),
        (patched(tag_at(STRSZ), "<Q", 1 << 40), "dynamic strings .*outside the loaded segments"),
        (patched(tag_at(SONAME), "<Q", 2**64 - 1), "string without an end"),
        (patched(tag_at(GNU_HASH), "<Q", 1 << 40), "hash table .*outside the loaded segments"),
        (patched(tag_at(SYMTAB), "<Q", 0), "string without an end|overlap"),
    ],
)
def test_broken_files(data: bytes, problem: str) -> None:
    with pytest.raises(InvalidBinary, match=problem):
        list(read(data).exports)


@pytest.mark.parametrize(("tag", "place"), [(VERNEED, 12), (VERNEED, 16 + 12), (VERDEF, 16)])
def test_version_records_in_a_circle(tag: int, place: int) -> None:
    data = bytearray(ELF["elf-gnu-hash"])
    at = tag_at(tag)
    address = int.from_bytes(data[at : at + 8], "little")
    pack_into("<I", data, address + place, 2**32 - 1)
    with pytest.raises(InvalidBinary):
        read(bytes(data))


def test_version_records_met_twice() -> None:
    data = bytearray(ELF["elf-gnu-hash"])
    at = tag_at(VERNEED)
    address = int.from_bytes(data[at : at + 8], "little")
    # the second record is taken for the first's second version
    pack_into("<I", data, address + 28, 32)
    pack_into("<I", data, address + 48 + 8, 0)
    with pytest.raises(InvalidBinary, match="reached twice"):
        read(bytes(data))


def test_gnu_hash_chain_without_an_end() -> None:
    data = bytearray(ELF["elf-gnu-hash"])
    at = tag_at(GNU_HASH)
    address = int.from_bytes(data[at : at + 8], "little")
    dynamic = int.from_bytes(data[64 + 112 + 8 : 64 + 112 + 16], "little")
    data[address + 32 : dynamic] = bytes(dynamic - address - 32)
    with pytest.raises(InvalidBinary, match="hash chain: has no end"):
        read(bytes(data))


def test_gnu_hash_that_promises_too_much() -> None:
    at = tag_at(GNU_HASH)
    address = int.from_bytes(ELF["elf-gnu-hash"][at : at + 8], "little")
    for field in (0, 8):
        with pytest.raises(InvalidBinary, match="is outside"):
            read(patched(address + field, "<I", 2**32 - 1))


@pytest.mark.parametrize("field", [0, 8])
def test_gnu_hash_of_nothing(field: int) -> None:
    at = tag_at(GNU_HASH, "elf-no-exports")
    address = int.from_bytes(ELF["elf-no-exports"][at : at + 8], "little")
    exports = read(patched(address + field, "<I", 0, sample="elf-no-exports")).exports
    assert exports.find("TF_NewBuffer") is None


def test_sysv_chain_in_a_circle() -> None:
    at = tag_at(4, "elf-sysv-hash")
    address = int.from_bytes(ELF["elf-sysv-hash"][at : at + 8], "little")
    circle = patched(address + 8, "<8I", 1, 1, *[1] * 6, sample="elf-sysv-hash")
    assert read(circle).exports.find("TF_NewStatus") is None


def test_dynamic_section_without_an_end() -> None:
    data = bytearray(ELF["elf-gnu-hash"])
    for at in (64 + 112 + 32, 64 + 112 + 40):
        size = int.from_bytes(data[at : at + 8], "little")
        pack_into("<Q", data, at, size - 16)
    assert read(bytes(data)).name == "libsample.so.1"


def test_sniff() -> None:
    assert sniff(ELF["elf-gnu-hash"]) is Format.ELF


@pytest.mark.parametrize("sample", ELF)
def test_cut_off_anywhere(sample: str) -> None:
    for end in range(len(ELF[sample])):
        exercise(ELF[sample][:end])


@given(st.sampled_from(sorted(ELF)), st.data())
def test_damaged_anywhere(sample: str, draw: st.DataObject) -> None:
    data = bytearray(ELF[sample])
    for _ in range(draw.draw(st.integers(1, 8))):
        at = draw.draw(st.integers(0, len(data) - 4))
        data[at : at + 4] = draw.draw(st.binary(min_size=4, max_size=4))
    exercise(bytes(data))


@given(st.sets(st.text("abZ_é", min_size=1, max_size=9), max_size=40), st.integers(1, 9))
def test_hash_table_holds_what_was_put_in(names: set[str], buckets: int) -> None:
    symbols = tuple(Symbol(name) for name in sorted(names))
    for hashed_by in ("gnu", "sysv"):
        elf = Elf(exports=symbols, imports=(Undefined("u"),), buckets=buckets, hashed_by=hashed_by)
        exports = read(elf.build()).exports
        assert {one.name for one in exports} == names
        assert all(exports.find(name) for name in names)
        assert all((exports.find(n + "a") is not None) == (n + "a" in names) for n in names)


@pytest.mark.parametrize("sample", ["elf-gnu-hash", "elf-sysv-hash", "elf-old-layout"])
def test_lief_reads_the_samples_alike(sample: str) -> None:
    theirs = lief.ELF.parse(list(ELF[sample]))
    ours = read(ELF[sample])
    assert theirs is not None
    assert tuple(theirs.libraries) == tuple(one.name for one in ours.libraries)
    named = [one for one in theirs.dynamic_symbols if one.name]
    imports = {one.name for one in named if not one.shndx}
    assert imports == {one.name for one in ours.imports or ()}
    assert {one.name for one in named} - imports == {one.name for one in ours.exports}
