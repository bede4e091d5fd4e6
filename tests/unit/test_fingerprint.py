from __future__ import annotations

import io
import json
import mmap
import tempfile
from hashlib import sha256
from struct import pack, unpack_from

import pytest
from fuzz_readers import ask
from hypothesis import given
from hypothesis import strategies as st
from make_samples import ELF, FAT, MACHO

from metalock.binaries import Binary, Import, InvalidBinary, Lookup, read
from metalock.binaries.fingerprint import dump, load

MEMBERS = {name: read(data) for name, data in (MACHO | ELF).items()}


def dumped(members: dict[str, Binary]) -> bytes:
    stream = io.BytesIO()
    dump(members, stream)
    return stream.getvalue()


STORED = dumped(MEMBERS)


def test_nothing_is_lost() -> None:
    fingerprint = load(STORED)
    assert list(fingerprint) == sorted(MEMBERS)
    assert len(fingerprint) == len(MEMBERS)
    for path, binary in MEMBERS.items():
        again = fingerprint[path]
        for name in Binary.__dataclass_fields__:
            if name != "exports":
                assert getattr(again, name) == getattr(binary, name), name
        assert type(again.exports) is type(binary.exports)
        assert ask(again) == ask(binary)


def test_provider_without_imports() -> None:
    provider = read(MACHO["arm64-chained"], imports=False)
    assert load(dumped({"a": provider}))["a"].imports is None


def test_same_bytes_whatever_the_order() -> None:
    assert dumped(dict(reversed(MEMBERS.items()))) == STORED


def test_twice_through_is_the_same() -> None:
    assert dumped(dict(load(STORED))) == STORED


def test_from_a_mapped_file() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(STORED)
        file.flush()
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    exports = load(mapped)["arm64-chained"].exports
    assert exports.provides(Import(name="_TF_NewStatus", lookup=Lookup.FLAT))
    assert not exports.provides(Import(name="_TF_NewStat", lookup=Lookup.FLAT))


def test_members_are_built_once() -> None:
    fingerprint = load(STORED)
    assert fingerprint["arm64-chained"] is fingerprint["arm64-chained"]
    with pytest.raises(KeyError):
        fingerprint["absent"]


def test_paths_are_known_without_reading_a_member() -> None:
    fingerprint = load(STORED)
    assert "arm64-chained" in fingerprint
    assert "absent" not in fingerprint


def test_stored_imports_are_a_sequence() -> None:
    before, after = MEMBERS["arm64-chained"].imports, load(STORED)["arm64-chained"].imports
    assert before is not None
    assert after is not None
    assert (after[0], after[-1], after[:2], len(after)) == (
        before[0],
        before[-1],
        tuple(before[:2]),
        len(before),
    )
    assert hash(after) == hash(tuple(before))


def test_empty() -> None:
    assert dict(load(dumped({}))) == {}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "record of 48 bytes"),
        (b"\x89PNG" + STORED[4:], "not of format 2"),
        (STORED[:8] + pack("<I", 1) + STORED[12:], "not of format 2"),
        (STORED[:12] + pack("<I", 1 << 30) + STORED[16:], "index .* is outside"),
        (STORED[:60] + b"!" + STORED[61:], "index is damaged"),
        (STORED[:-1], "cut off"),
        (STORED + b"x", "something follows"),
    ],
)
def test_damaged_files(data: bytes, problem: str) -> None:
    with pytest.raises(InvalidBinary, match=problem):
        load(data)


def test_damaged_table_is_reported_when_it_is_asked_for() -> None:
    (size,) = unpack_from("<I", STORED, 12)
    at = 48 + size
    for row in json.loads(STORED[48:at]):
        if row["path"] == "arm64-chained":
            break
        at += sum(table[1] for table in row["tables"])
    data = bytearray(STORED)
    data[at] ^= 1
    fingerprint = load(bytes(data))
    assert ask(fingerprint["elf-gnu-hash"]) == ask(MEMBERS["elf-gnu-hash"])
    with pytest.raises(InvalidBinary, match="table of arm64-chained is damaged"):
        _ = fingerprint["arm64-chained"]


def test_index_says_what_it_holds() -> None:
    (size,) = unpack_from("<I", STORED, 12)
    index = STORED[48 : 48 + size]
    assert STORED[16:48] == sha256(index).digest()
    assert [row["path"] for row in json.loads(index)] == sorted(MEMBERS)


def test_a_slice_is_stored_alone() -> None:
    chosen = read(FAT["fat"], architecture="arm64")
    assert len(dumped({"a": chosen})) < len(FAT["fat"])
    assert ask(load(dumped({"a": chosen}))["a"]) == ask(MEMBERS["arm64-chained"])


@given(st.integers(0, len(STORED) - 1), st.integers(1, 255))
def test_no_flipped_byte_goes_unseen(at: int, change: int) -> None:
    data = bytearray(STORED)
    data[at] ^= change
    with pytest.raises(InvalidBinary):
        dict(load(bytes(data)))
