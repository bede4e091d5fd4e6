from __future__ import annotations

import io
import re
from contextlib import suppress
from pathlib import Path
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st
from make_samples import ELF, FAT, MACHO
from make_wheels import FILE, METADATA, make_wheel

from metalock.audit import archive, wheel
from metalock.audit.facts import WheelFacts
from metalock.audit.wheel import read_wheel
from metalock.binaries import Format, Lookup
from metalock.errors import ToolError, UnreadableWheelError
from metalock.platforms import Platform
from metalock.records import Entry, installed_digest

MAC, LINUX = Platform.OSX_ARM64, Platform.LINUX_64
NUMPY_1 = b"\0numpy.core._multiarray_umath\0"
NUMPY_2 = b"\0numpy._core._multiarray_umath\0" + NUMPY_1


def facts_of(data: bytes, platform: Platform = MAC, file: str = FILE) -> WheelFacts:
    return read_wheel(io.BytesIO(data), file, "0" * 64, platform)


def test_facts() -> None:
    metadata = (
        METADATA + "Requires-Python: >=3.9\nRequires-Dist: six (>=1.15)\nRequires-Dist: numpy<2; x\n\nLong"
    )
    facts = facts_of(
        make_wheel({"pkg/__init__.py": b"", "pkg/a.so": MACHO["arm64-bundle"]}, metadata=metadata)
    )
    assert (facts.name, facts.version, facts.file) == ("sample", "1.0", FILE)
    assert facts.requires == ("six (>=1.15)", "numpy<2; x")
    assert facts.requires_python == ">=3.9"
    assert facts.paths == ("pkg/__init__.py", "pkg/a.so", "sample-1.0.dist-info/METADATA")
    assert facts.binaries["pkg/a.so"].format is Format.MACH_O
    assert not facts.is_stub
    assert (facts.foreign, facts.numpy, facts.unreadable) == ({}, {}, {})


def test_places() -> None:
    data = make_wheel(
        {
            "sample-1.0.data/purelib/pkg/a.py": b"",
            "sample-1.0.data/platlib/pkg/b.so": MACHO["arm64-bundle"],
            "sample-1.0.data/scripts/tool": b"#!python",
            "sample-1.0.data/headers/c.h": b"",
            "sample-1.0.data/data/share/d": b"",
        }
    )
    facts = facts_of(data)
    assert facts.paths == (
        ".data/data/share/d",
        ".data/headers/sample/c.h",
        ".data/scripts/tool",
        "pkg/a.py",
        "pkg/b.so",
        "sample-1.0.dist-info/METADATA",
    )
    assert list(facts.binaries) == ["pkg/b.so"]


RECORD = "sample-1.0.dist-info/RECORD"


def test_the_digest_of_its_record() -> None:
    """As of the RECORD that pip writes."""
    data = make_wheel(
        {
            "sample-1.0.data/purelib/a.py": b"",
            "sample-1.0.dist-info/entry_points.txt": b"[console_scripts]\ntool = a:run\n",
            RECORD: f"sample-1.0.data/purelib/a.py,sha256=AAEC,0\n{RECORD},,\n".encode(),
        }
    )
    installed = [Entry("a.py", "sha256=AAEC", "0"), Entry("../bin/tool", "sha256=AAED", "9"), Entry(RECORD)]
    assert facts_of(data).record == installed_digest(installed, frozenset({"tool"}))


@pytest.mark.parametrize("record", [None, b"\xff", b"a,b,c,d\n", b"\0,,\n"])
def test_no_digest_without_a_record(record: bytes | None) -> None:
    assert facts_of(make_wheel({"a.py": b""} if record is None else {RECORD: record})).record == ""


@pytest.mark.parametrize(
    ("files", "stub"),
    [({}, True), ({"sample-1.0.data/scripts/x": b""}, True), ({"sample.py": b""}, False)],
)
def test_stub(files: dict[str, bytes], stub: bool) -> None:  # noqa: FBT001
    assert facts_of(make_wheel(files)).is_stub is stub


@pytest.mark.parametrize(
    ("sample", "platform", "foreign"),
    [
        (MACHO["x86_64-opcodes"], MAC, ("x86_64",)),
        (MACHO["arm64-chained"], MAC, None),
        (MACHO["arm64-chained"], LINUX, ("macos",)),
        (ELF["elf-gnu-hash"], MAC, ("linux",)),
        (ELF["elf-gnu-hash"], LINUX, None),
        (ELF["elf-old-layout"], LINUX, ("arm64",)),
        (FAT["fat"], Platform.OSX_64, None),
        (FAT["fat"], MAC, None),
        (FAT["fat"], LINUX, ("macos",)),
    ],
)
def test_architectures(sample: bytes, platform: Platform, foreign: tuple[str, ...] | None) -> None:
    facts = facts_of(make_wheel({"a.txt": sample}), platform)
    if foreign:
        assert (dict(facts.binaries), dict(facts.foreign)) == ({}, {"a.txt": foreign})
    else:
        assert facts.binaries["a.txt"].architecture == platform.machine
        assert facts.foreign == {}


def test_fat_without_the_slice() -> None:
    fat = bytearray(FAT["fat"])
    at = fat.index(pack(">2i", 0x0100000C, 0))
    fat[at : at + 4] = pack(">i", 0x01000012)
    (found,) = facts_of(make_wheel({"a.so": bytes(fat)})).foreign.values()
    assert "x86_64" in found


@pytest.mark.parametrize("data", [b"\xca\xfe\xba\xbe\0\0\0\x34" + b"java" * 9, b"\x7fEL", b""])
def test_no_binaries(data: bytes) -> None:
    facts = facts_of(make_wheel({"A.class": data}))
    assert not facts.binaries and not facts.unreadable  # noqa: PT018


@pytest.mark.parametrize(("strings", "major"), [(b"", None), (NUMPY_1, 1), (NUMPY_2, 2)])
@pytest.mark.parametrize("place", [0, archive.CHUNK - 1500, (1 << 16) - 1430])
def test_numpy(strings: bytes, major: int | None, place: int) -> None:
    """Wherever it is in the file, in chunks or not."""
    data = MACHO["arm64-chained"] + b"x" * place + strings + b"y" * 99
    assert facts_of(make_wheel({"a.so": data})).numpy.get("a.so") == major


def test_giants_are_read_without_their_coalesced_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    imports = {}
    for giant in (100, 1 << 30):
        monkeypatch.setattr(wheel, "GIANT", giant)
        binary = facts_of(make_wheel({"a.so": MACHO["arm64-chained"]})).binaries["a.so"]
        assert binary.exports.find("_TF_NewStatus")
        imports[giant] = binary.imports or ()
    assert Lookup.COALESCED in {one.lookup for one in imports[1 << 30]}
    rest = [one for one in imports[1 << 30] if one.lookup is not Lookup.COALESCED]
    assert list(imports[100]) == rest


@pytest.mark.parametrize("size", [4, 40, 700, 1000])
def test_truncated_binary(size: int) -> None:
    """The wheel is read, and the member is reported, unless what is missing doesn't matter."""
    facts = facts_of(make_wheel({"a.so": MACHO["arm64-chained"][:size], "b.so": MACHO["arm64-bundle"]}))
    assert list(facts.unreadable) == ["a.so"]
    assert list(facts.binaries) == ["b.so"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("../evil", "leads out"),
        ("a/../../evil", "leads out"),
        ("/etc/passwd", "absolute"),
        ("C:/evil", "absolute"),
        ("a\\b", "no plain path"),
        ("a//b", "no plain path"),
        ("./a", "no plain path"),
    ],
)
def test_hostile_names(name: str, problem: str) -> None:
    with pytest.raises(UnreadableWheelError, match=rf"^{re.escape(FILE)}, member .*: .*{problem}") as caught:
        facts_of(make_wheel({name: b""}))
    assert repr(name) in str(caught.value)
    assert caught.value.exit_code == ToolError.exit_code


def test_duplicate_member() -> None:
    with pytest.raises(UnreadableWheelError, match=r"member 'a\.py': is there twice"):
        facts_of(make_wheel([("a.py", b"1"), ("a.py", b"2")]))


@pytest.mark.parametrize(
    "metadata", [{}, {"other-1.0.dist-info/METADATA": b""}, {"a/sample-1.0.dist-info/METADATA": b""}]
)
def test_no_metadata(metadata: dict[str, bytes]) -> None:
    with pytest.raises(UnreadableWheelError, match="has no METADATA of sample"):
        facts_of(make_wheel(metadata, metadata=None))


def test_no_wheel_name() -> None:
    with pytest.raises(UnreadableWheelError, match=r"^sample\.zip: "):
        facts_of(b"", file="sample.zip")


@pytest.mark.parametrize(("flags", "method", "problem"), [(1, 8, "encrypted"), (0, 12, "method 12")])
def test_odd_compression(flags: int, method: int, problem: str) -> None:
    data = bytearray(make_wheel({"a.so": MACHO["arm64-bundle"]}))
    at = data.index(b"PK\1\2")
    data[at + 8 : at + 12] = pack("<2H", flags, method)
    with pytest.raises(UnreadableWheelError, match=f"member 'a.so': is .*{problem}"):
        facts_of(bytes(data))


def test_bombs(monkeypatch: pytest.MonkeyPatch) -> None:
    """What all members unpack to is bounded before any is inflated."""
    monkeypatch.setattr(archive, "MOST_INFLATED", 1 << 20)
    bomb = MACHO["arm64-bundle"] + b"\0" * (1 << 19)
    assert len(facts_of(make_wheel({"a.so": bomb})).binaries) == 1
    with pytest.raises(UnreadableWheelError, match=r"member 'b\.so': unpacks"):
        facts_of(make_wheel({"a.so": bomb, "b.so": bomb}))


def test_large_metadata_is_not_inflated() -> None:
    with pytest.raises(UnreadableWheelError, match="METADATA': is larger than 16 MiB"):
        facts_of(make_wheel({}, metadata=METADATA + "\n" + "x" * (17 << 20)))


def test_too_many_members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_MEMBERS", 3)
    with pytest.raises(UnreadableWheelError, match="5 members"):
        facts_of(make_wheel({f"{n}.py": b"" for n in range(4)}))


def test_a_lie_about_the_size() -> None:
    """A member with bytes after its declared end is cut there, and its CRC shows it."""
    data = bytearray(make_wheel({"a.so": MACHO["arm64-bundle"] + b"\0" * 9999}))
    at = data.index(b"PK\1\2")
    data[at + 24 : at + 28] = pack("<I", len(MACHO["arm64-bundle"]) + 10)
    with pytest.raises(UnreadableWheelError, match=r"member 'a.so': .*CRC"):
        facts_of(bytes(data))


def test_magic_behind_empty_blocks() -> None:
    """A deflate stream may begin with any number of blocks without content; that hides nothing."""
    body = MACHO["arm64-bundle"]
    data = make_wheel({"a.so": body})
    stored = b"\0\0\0\xff\xff" * 99 + b"\1" + pack("<2H", len(body), len(body) ^ 0xFFFF) + body
    start, end = data.index(b"a.so") + 4, data.index(b"PK\3\4", 4)
    grown = bytearray(data[:start] + stored + data[end:])
    shift = len(grown) - len(data)
    grown[18:22] = pack("<I", len(stored))
    first = grown.index(b"PK\1\2")
    grown[first + 20 : first + 24] = pack("<I", len(stored))
    second = grown.index(b"PK\1\2", first + 1)
    grown[second + 42 : second + 46] = pack("<I", end + shift)
    last = grown.index(b"PK\5\6")
    grown[last + 16 : last + 20] = pack("<I", first)
    assert list(facts_of(bytes(grown)).binaries) == ["a.so"]


WHOLE = make_wheel({"a.so": MACHO["arm64-chained"], "b.so": FAT["fat"], "c.py": b"pass"})


@pytest.mark.parametrize("part", range(9))
def test_truncated_wheel(part: int) -> None:
    with pytest.raises(UnreadableWheelError, match=FILE):
        facts_of(WHOLE[: len(WHOLE) * part // 9])


@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(1, 255)), min_size=1, max_size=4))
def test_no_damage_crashes(changes: list[tuple[int, int]]) -> None:
    data = bytearray(WHOLE)
    for at, change in changes:
        data[at] ^= change
    with suppress(UnreadableWheelError):
        facts_of(bytes(data))


def test_scratch_is_left_empty(tmp_path: Path) -> None:
    read_wheel(io.BytesIO(WHOLE), FILE, "0" * 64, MAC, scratch=tmp_path)
    assert list(tmp_path.iterdir()) == []
