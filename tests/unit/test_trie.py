from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from make_samples import (
    Exported,
    MachO,
    uleb,
)

from metalock.binaries import (
    Export,
    InvalidBinary,
    read,
)
from metalock.binaries.trie import TrieExports
from metalock.binaries.view import View


def test_trie_nodes_too_heavy_to_remember() -> None:
    exports = tuple(Exported(name=chr(65 + one) + "x" * 400) for one in range(4))
    binary = read(MachO(exports=exports).build())
    assert all(binary.exports.find(one.name) for one in exports)


def exports_of(trie: bytes) -> TrieExports:
    return TrieExports(trie=View.whole(trie, "export trie"), libraries=())


LEAF = b"\x02\x00\x10\x00"


@pytest.mark.parametrize(
    ("trie", "problem"),
    [
        (b"\x00\x01a\x00\x00", "leads outside, or back to the root"),
        (b"\x00\x01a\x00\x7f", "leads outside"),
        (b"\x00\x01a\x00\x05" + b"\x00\x01b\x00\x05", "reached twice"),
        (b"\x00\x02a\x00\x08b\x00\x08" + LEAF, "reached twice"),
        (b"\x00\x01abc", "an edge without an end"),
        (b"\x00\x01a\x00\x80", "an edge without an end"),
        (b"\x00\x01a\x00" + b"\xff" * 20, "an edge without an end"),
        (b"\x7f\x00", "runs over the end"),
        (b"\x01", "runs over the end"),
        (b"\x00\x01a\x00\x05" + b"\x01\x08\x00", "number without an end"),
        (b"\x00\x02a\x00", "an edge without an end"),
        (b"\x00\x02a\x00\x03", "an edge without an end"),
    ],
)
def test_broken_tries(trie: bytes, problem: str) -> None:
    with pytest.raises(InvalidBinary, match=problem):
        list(exports_of(trie))


def test_trie_edge_without_text_leads_on() -> None:
    # as ld64 writes it for a name that it was given twice
    trie = b"\x00\x02aSize\x00\x0ca\x00\x10" + LEAF + b"\x00\x01\x00\x14" + LEAF
    exports = exports_of(trie)
    assert [one.name for one in exports] == ["aSize", "a"]
    assert exports.find("a") == Export(name="a")
    assert exports.find("aSize") == Export(name="aSize")


def test_trie_walk_without_an_end() -> None:
    exports = exports_of(b"\x00\x01a\x00\x05" + b"\x00\x01\x00\x05")
    with pytest.raises(InvalidBinary, match="lead on and on"):
        exports.find("ab")


def test_trie_whose_names_grow_without_end() -> None:
    size, step = 60_000, 6
    nodes = [b"\x00\x01x\x00" + uleb((number + 1) * 7 % (1 << 21), 3) for number in range(size // step)]
    trie = b"".join(nodes) + LEAF
    with pytest.raises(InvalidBinary, match="names have no end"):
        list(exports_of(trie))


@given(st.binary(max_size=200))
def test_any_trie(content: bytes) -> None:
    for question in (list, lambda exports: exports.find("_TF_NewStatus")):
        try:
            question(exports_of(content))
        except InvalidBinary:
            continue


@given(st.sets(st.text("ab_Z", min_size=1, max_size=9), min_size=1, max_size=40))
def test_trie_holds_what_was_put_in(names: set[str]) -> None:
    exports = tuple(Exported(name=name) for name in sorted(names))
    found = read(MachO(exports=exports).build()).exports
    assert {one.name for one in found} == names
    assert all(found.find(name) for name in names)
    assert all((found.find(name + "a") is not None) == (name + "a" in names) for name in names)
