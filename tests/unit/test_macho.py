from __future__ import annotations

from struct import pack, pack_into

import lief
import pytest
from fuzz_readers import exercise
from hypothesis import given
from hypothesis import strategies as st
from make_samples import (
    ARM64,
    COALESCED,
    COALESCING,
    EXPORTS,
    FAT,
    IMPORTS,
    LIBRARIES,
    LOAD,
    MACHO,
    Exported,
    Imported,
    MachO,
    command,
    uleb,
)

from metalock.binaries import (
    Export,
    ExportKind,
    FileType,
    Format,
    Import,
    InvalidBinary,
    Library,
    LinkKind,
    Lookup,
    binds,
    read,
)
from metalock.binaries.trie import ListedExports

SYSTEM, OTHER, MAYBE, ABOVE = (name for _, name in LIBRARIES)
EXPECTED_IMPORTS = {
    Import(name="_malloc", lookup=Lookup.LIBRARY, library=SYSTEM),
    Import(name="_maybe", lookup=Lookup.LIBRARY, library=MAYBE, weak=True),
    Import(name="_TF_NewBuffer", lookup=Lookup.FLAT),
    Import(name="_own", lookup=Lookup.SELF),
    Import(name="_main_symbol", lookup=Lookup.EXECUTABLE),
    Import(name="_late", lookup=Lookup.LIBRARY, library=OTHER),
}


def test_facts() -> None:
    binary = read(MACHO["arm64-chained"])
    assert (binary.format, binary.architecture) == (Format.MACH_O, "arm64")
    assert (binary.file_type, binary.name) == (FileType.LIBRARY, "@rpath/libsample.dylib")
    assert (binary.system, binary.floor) == ("macos", (12, 1, 0))
    assert binary.rpaths == ("@loader_path/../solib", "/opt/lib")
    assert binary.libraries == (
        Library(name=SYSTEM),
        Library(name=OTHER, kind=LinkKind.REEXPORT),
        Library(name=MAYBE, kind=LinkKind.WEAK),
        Library(name=ABOVE, kind=LinkKind.UPWARD),
    )


def test_floor_of_the_old_command() -> None:
    assert read(MACHO["x86_64-opcodes"]).floor == (10, 14, 6)


def test_no_floor_and_other_systems() -> None:
    assert read(MachO(floors=()).build()).floor is None
    phone = MachO(floors=(command(0x25, pack("<2I", 0xD0000, 0)),)).build()
    assert (read(phone).system, read(phone).floor) == ("ios", (13, 0, 0))
    both = tuple(command(0x32, pack("<4I", kind, kind << 16, 0, 0)) for kind in (6, 1, 99))
    assert (read(MachO(floors=both).build()).system, read(MachO(floors=both).build()).floor) == (
        "macos",
        (1, 0, 0),
    )


def test_bundle_has_no_name() -> None:
    binary = read(MACHO["arm64-bundle"])
    assert (binary.file_type, binary.name) == (FileType.BUNDLE, None)


@pytest.mark.parametrize(
    ("flags", "kind"), [(0, LinkKind.NORMAL), (1, LinkKind.WEAK), (2, LinkKind.REEXPORT)]
)
def test_library_linked_by_the_newer_command(flags: int, kind: LinkKind) -> None:
    body = pack("<5I", 28, 0x1A741800, 0, 0, flags) + b"/usr/lib/libnew.dylib\0"
    binary = read(MachO(libraries=(), more=(command(LOAD, body),)).build())
    assert binary.libraries == (Library(name="/usr/lib/libnew.dylib", kind=kind),)


@pytest.mark.parametrize(
    "sample",
    ["arm64-chained", "arm64-chained-addend", "arm64-chained-addend64", "x86_64-opcodes"],
)
def test_imports(sample: str) -> None:
    imports = read(MACHO[sample]).imports
    assert imports is not None
    coalesced = Import(name="__Znwm", lookup=Lookup.COALESCED)
    assert set(imports) == EXPECTED_IMPORTS | {coalesced}


def test_weak_bind_of_what_is_bound_anyway() -> None:
    imports = (Imported(name="__Znwm", ordinal=1), Imported(name="__Znwm", ordinal=COALESCED))
    binary = read(MachO(imports=imports, imports_by="opcodes").build())
    assert binary.imports == (Import(name="__Znwm", lookup=Lookup.LIBRARY, library=SYSTEM),)


def test_imports_by_symbol_table() -> None:
    assert set(read(MACHO["x86_64-symbols"]).imports or ()) == EXPECTED_IMPORTS


@pytest.mark.parametrize("imports_by", ["opcodes", "symbols"])
def test_flat_namespace(imports_by: str) -> None:
    imports = tuple(Imported(name=one.name, ordinal=-2) for one in IMPORTS)
    binary = read(MachO(flags=0x5, imports=imports, imports_by=imports_by, exports_by=imports_by).build())
    assert {one.lookup for one in binary.imports or ()} == {Lookup.FLAT}


def test_symbol_table_of_a_flat_image_has_no_ordinals() -> None:
    image = MachO(flags=0x5, imports=IMPORTS, imports_by="symbols", exports_by="symbols")
    assert {one.lookup for one in read(image.build()).imports or ()} == {Lookup.FLAT}


def test_many_libraries_need_the_long_opcode() -> None:
    libraries = tuple((LOAD, f"/usr/lib/lib{number}.dylib") for number in range(40))
    imports = (Imported(name="_far", ordinal=40), Imported(name="_near", ordinal=15))
    binary = read(MachO(libraries=libraries, imports=imports, imports_by="opcodes").build())
    assert {(one.name, one.library) for one in binary.imports or ()} == {
        ("_far", "/usr/lib/lib39.dylib"),
        ("_near", "/usr/lib/lib14.dylib"),
    }


def test_opcodes_that_say_where_are_skipped() -> None:
    name = b"\x11\x40_malloc\0"
    times = b"\xc0" + uleb(1 << 40) + uleb(8)
    opcodes = name + b"\x51\x60\x7f\x70\x08\x80\x10\xa0\x08\xb1" + times + b"\xd0\x05\xd1\x00"
    base = MachO(imports_by="opcodes", exports_by="info").build()
    at = base.index(pack("<2I", 0x80000022, 48))
    patched = bytearray(base + opcodes)
    pack_into("<2I", patched, at + 16, len(base), len(opcodes))
    assert read(bytes(patched)).imports == (Import(name="_malloc", lookup=Lookup.LIBRARY, library=SYSTEM),)


def test_exports() -> None:
    exports = read(MACHO["arm64-chained"]).exports
    assert list(exports) == [
        Export(name="_TF_NewStatus"),
        Export(name="_TF_NewStatusWithLongerName", weak=True),
        Export(name="__ZN2tf3barEv", kind=ExportKind.ABSOLUTE),
        Export(name="__ZN2tf3fooEv", weak=True),
        Export(name="__ZTW3tls", kind=ExportKind.THREAD_LOCAL),
    ]
    assert [exports.find(one.name) for one in exports] == list(exports)
    for missing in ("", "_", "_TF_New", "_TF_NewStatusX", "_TF_NewStatusWithLongerNameX", "é"):
        assert exports.find(missing) is None
    assert exports.provides(Import(name="__ZTW3tls", lookup=Lookup.FLAT))


def test_reexports_name_their_source() -> None:
    exports = read(MACHO["arm64-reexports"]).exports
    assert exports.find("_renamed") == Export(
        name="_renamed",
        source=Import(name="_original", lookup=Lookup.LIBRARY, library=SYSTEM),
    )
    assert exports.find("_passed_on") == Export(
        name="_passed_on",
        source=Import(name="_passed_on", lookup=Lookup.LIBRARY, library=OTHER),
    )


def test_reexport_from_anywhere() -> None:
    # ld64 wrote such an ordinal, all 64 bits of it, into TensorFlow's _pywrap_tensorflow_internal
    exported = Exported(name="_x", flags=0x08, ordinal=2**64 - 2)
    assert read(MachO(exports=(exported,)).build()).exports.find("_x") == Export(
        name="_x", source=Import(name="_x", lookup=Lookup.FLAT)
    )


def test_exports_of_the_symbol_table() -> None:
    exports = read(MACHO["x86_64-symbols"]).exports
    assert isinstance(exports, ListedExports)
    assert [(one.name, one.weak) for one in exports] == sorted(
        (one.name, bool(one.flags & 4)) for one in EXPORTS
    )
    assert exports.find("__ZN2tf3fooEv") == Export(name="__ZN2tf3fooEv", weak=True)
    assert exports.find("_TF_New") is None
    assert exports.find("TF_NewStatus") is None


def test_no_export_table_at_all() -> None:
    head = pack("<8I", 0xFEEDFACF, *ARM64, 6, 0, 0, 0, 0)
    binary = read(head)
    assert (list(binary.exports), binary.imports, binary.libraries) == ([], (), ())


def test_empty_tables() -> None:
    more = tuple(command(kind, bytes(8)) for kind in (0x80000033, 0x80000034))
    head = pack("<8I", 0xFEEDFACF, *ARM64, 6, 2, sum(map(len, more)), 0, 0) + b"".join(more)
    binary = read(head)
    assert (list(binary.exports), binary.exports.find("_x"), binary.imports) == ([], None, ())


@pytest.mark.parametrize("kind", [0x0E, 0x1F, 0x2F])
def test_local_private_and_debug_symbols_do_not_count(kind: int) -> None:
    data = bytearray(MACHO["x86_64-symbols"])
    at = data.index(pack("<IBBHQ", 1, 0x0F, 1, 0, 0x100))
    data[at + 4] = kind
    assert read(bytes(data)).exports.find("_TF_NewStatus") is None


def test_names_that_are_not_text_survive() -> None:
    blob = MACHO["arm64-chained"].replace(b"TF_NewStatus\0", b"TF_NewStat\xff\xfe\0", 1)
    exports = read(blob).exports
    assert exports.find("_TF_NewStat\udcff\udcfe") in list(exports)


@pytest.mark.parametrize(
    ("cpu", "name"),
    [((0x0100000C, 2), "arm64e"), ((0x01000007, 8), "x86_64h"), ((18, 0), "cpu 0x12")],
)
def test_other_architectures(cpu: tuple[int, int], name: str) -> None:
    assert read(MachO(cpu=cpu).build()).architecture == name


@pytest.mark.parametrize("kind", [0x80000033, 0x80000034, 0x80000022, 0x2])
def test_tables_outside_the_file(kind: int) -> None:
    body = {0x80000022: pack("<10I", *[1 << 30, 64] * 5), 0x2: pack("<4I", *[1 << 30, 64] * 2)}
    more = command(kind, body.get(kind, pack("<2I", 1 << 30, 64)))
    data = pack("<8I", 0xFEEDFACF, *ARM64, 6, 1, len(more), 0, 0) + more
    with pytest.raises(InvalidBinary, match=r"is outside the file.*0x40000000"):
        read(data)


@pytest.mark.parametrize(
    ("imported", "problem"),
    [
        (MachO(imports=(Imported(name="_x", ordinal=9),)), "unknown library 9"),
        (MachO(imports=(Imported(name="_x", ordinal=0xFC),)), "unknown library -4"),
        (MachO(imports=(Imported(name="_x", ordinal=9),), wide=3), "unknown library 9"),
        (
            MachO(imports=(Imported(name="_x", ordinal=9),), imports_by="opcodes"),
            "unknown library 9",
        ),
        (
            MachO(imports=(Imported(name="_x", ordinal=9),), imports_by="symbols", exports_by="none"),
            "unknown library 9",
        ),
        (
            MachO(exports=(Exported(name="_x", flags=8, ordinal=7),)),
            "re-export from unknown library 7",
        ),
        (MachO(exports=(Exported(name="_x", flags=3),)), "unknown kind"),
    ],
)
def test_numbers_that_mean_nothing(imported: MachO, problem: str) -> None:
    data = imported.build()
    with pytest.raises(InvalidBinary, match=problem):
        list(read(data).exports)


def test_unknown_import_format_and_opcode() -> None:
    chained = bytearray(MACHO["arm64-chained"])
    at = chained.index(pack("<2I", 0x80000034, 16))
    fixups = int.from_bytes(chained[at + 8 : at + 12], "little")
    chained[fixups + 20] = 9
    with pytest.raises(InvalidBinary, match="unknown import format 9"):
        read(bytes(chained))
    opcodes = MACHO["x86_64-opcodes"].replace(b"\x51\x71", b"\xe1\x71", 1)
    with pytest.raises(InvalidBinary, match="unknown opcode 0xe0"):
        read(opcodes)


def test_names_that_overlap_do_not_fill_the_memory() -> None:
    count = 4000
    names = b"x" * 100_000 + b"\0"
    table = b"".join(pack("<I", 0xFE | number << 9) for number in range(count))
    at = 28
    fixups = pack("<7I", 0, 0, at, at + len(table), count, 1, 0) + table + names
    more = command(0x80000034, pack("<2I", 48, len(fixups)))
    data = pack("<8I", 0xFEEDFACF, *ARM64, 6, 1, len(more), 0, 0) + more
    with pytest.raises(InvalidBinary, match="overlap beyond reason"):
        read(data + fixups)


def test_more_imports_than_any_binary_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binds, "MOST_IMPORTS", len(COALESCING) - 1)
    for sample in ("arm64-chained", "x86_64-opcodes"):
        with pytest.raises(InvalidBinary, match="more than 6 imports"):
            read(MACHO[sample])


SAMPLES = MACHO | FAT


@pytest.mark.parametrize("sample", SAMPLES)
def test_cut_off_anywhere(sample: str) -> None:
    for end in range(len(SAMPLES[sample])):
        exercise(SAMPLES[sample][:end])


@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_damaged_anywhere(sample: str, draw: st.DataObject) -> None:
    data = bytearray(SAMPLES[sample])
    for _ in range(draw.draw(st.integers(1, 8))):
        at = draw.draw(st.integers(0, len(data) - 4))
        data[at : at + 4] = draw.draw(st.binary(min_size=4, max_size=4))
    exercise(bytes(data))


def is_weak(binding: lief.MachO.BindingInfo) -> bool:
    return str(getattr(binding, "binding_class", "")) == "CLASS.WEAK"


ORDINALS = {Lookup.SELF: 0, Lookup.EXECUTABLE: -1, Lookup.FLAT: -2, Lookup.COALESCED: COALESCED}


@pytest.mark.parametrize("sample", MACHO)
def test_lief_reads_the_samples_alike(sample: str) -> None:
    parsed = lief.MachO.parse(list(MACHO[sample]))
    assert parsed is not None
    theirs = parsed.at(0)
    ours = read(MACHO[sample])
    assert theirs is not None
    assert [one.name for one in theirs.libraries if "sample" not in str(one.name)] == [
        one.name for one in ours.libraries
    ]
    assert tuple(one.path for one in theirs.rpaths) == ours.rpaths
    if sample != "x86_64-symbols":  # LIEF takes exports and bindings from dyld's tables only
        assert {one.name for one in theirs.exported_symbols} == {one.name for one in ours.exports}
        bound = {
            (one.symbol.name, COALESCED if is_weak(one) else one.library_ordinal)
            for one in theirs.bindings
            if one.symbol
        }
        libraries = [one.name for one in ours.libraries]
        assert bound == {
            (
                one.name,
                libraries.index(one.library) + 1 if one.library else ORDINALS[one.lookup],
            )
            for one in ours.imports or ()
        }
