"""Exports of a Mach-O binary: dyld's export trie, or the symbol table where there is none."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from metalock.binaries.binds import imported
from metalock.binaries.model import Export, ExportKind, Exports
from metalock.binaries.view import View, decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_KIND_MASK = 0x03
_KINDS = (ExportKind.REGULAR, ExportKind.THREAD_LOCAL, ExportKind.ABSOLUTE)
_WEAK_DEFINITION = 0x04
_REEXPORT = 0x08

# What all names together may cost: prefixes are shared, so a small trie can spell long names,
# and a hostile one could spell for ever.
_SPELLING_PER_BYTE = 64
_SPELLING_SLACK = 1 << 16

# Mangled names share long prefixes, so the nodes near the root are asked for again and again.
_REMEMBERED_NODES = 4096
_REMEMBERED_BYTES = 1024

_MOST_IDLE_STEPS = 64

_EDGE = re.compile(rb"([^\0]*)\0([\x80-\xff]{0,9}[\0-\x7f])")

_Node = tuple[int, int, tuple[tuple[bytes, int], ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrieExports(Exports):
    """`LC_DYLD_EXPORTS_TRIE`, walked as dyld does (`trieWalk`): one edge string after the other.

    Each node is `uleb size, size bytes of export, uint8 children, (edge NUL, uleb node)*`.
    """

    trie: View
    libraries: tuple[str, ...]
    _remembered: dict[int, _Node] = field(default_factory=dict, init=False, repr=False, compare=False)
    _found: dict[str, Export | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    def find(self, name: str) -> Export | None:
        """Walk down, once for each name."""
        if name not in self._found:
            self._found[name] = self._walk(name)
        return self._found[name]

    def _walk(self, name: str) -> Export | None:
        """Walk the trie, with a bound: ld64 may leave an edge without text, which could lead to a circle."""
        if not len(self.trie):
            return None
        wanted = encode(name)
        node = at = idle = 0
        while idle < _MOST_IDLE_STEPS:
            payload, size, children = self._remembered.get(node) or self._visit(node)
            if size and at == len(wanted):
                return self._export(name, payload, size)
            for edge, child in children:
                if wanted.startswith(edge, at):
                    node = child
                    at += len(edge)
                    idle += not edge
                    break
            else:
                return None
        raise self.trie.fail("edges without text lead on and on", node)

    def __iter__(self) -> Iterator[Export]:
        """Go through the trie in its own order, depth first."""
        budget = len(self.trie) * _SPELLING_PER_BYTE + _SPELLING_SLACK
        seen: set[int] = set()
        path = bytearray()
        stack = [(0, iter([(b"", 0)] if len(self.trie) else []))]
        while stack:
            depth, siblings = stack[-1]
            edge, node = next(siblings, (None, 0))
            if edge is None:
                stack.pop()
                continue
            path[depth:] = edge
            budget -= len(path) + 1
            if node in seen or budget < 0:
                raise self.trie.fail("a node is reached twice, or names have no end", node)
            seen.add(node)
            payload, size = self._payload(node)
            if size:
                yield self._export(decode(bytes(path)), payload, size)
            stack.append((len(path), self._children(payload + size)))

    def pieces(self) -> dict[str, View]:
        """Give the trie as it is in the file."""
        return {"trie": self.trie}

    def _visit(self, node: int) -> _Node:
        payload, size = self._payload(node)
        children = tuple(self._children(payload + size))
        weight = sum(len(edge) for edge, _ in children)
        if len(self._remembered) < _REMEMBERED_NODES and weight < _REMEMBERED_BYTES:
            self._remembered[node] = (payload, size, children)
        return payload, size, children

    def _payload(self, node: int) -> tuple[int, int]:
        size, payload = self.trie.uleb(node)
        if payload + size >= len(self.trie):
            raise self.trie.fail("a node runs over the end", node)
        return payload, size

    def _children(self, offset: int) -> Iterator[tuple[bytes, int]]:
        trie = self.trie
        buffer, start, stop = trie.buffer, trie.start, trie.stop
        cursor = start + offset + 1
        for _ in range(buffer[start + offset]):
            found = _EDGE.match(buffer, cursor, stop)
            if found is None:
                raise trie.fail("an edge without an end", cursor - start)
            edge, number = found.groups()
            child = 0
            for byte in reversed(number):
                child = child << 7 | byte & 0x7F
            if not 0 < child < stop - start:
                raise trie.fail("an edge leads outside, or back to the root", cursor - start)
            yield edge, child
            cursor = found.end()

    def _export(self, name: str, payload: int, size: int) -> Export:
        content = self.trie.part(payload, size, "export")
        flags, cursor = content.uleb(0)
        kind = flags & _KIND_MASK
        if kind >= len(_KINDS):
            raise content.fail(f"unknown kind in flags {flags:#x}")
        source = None
        if flags & _REEXPORT:
            ordinal, cursor = content.uleb(cursor)
            ordinal -= (ordinal >> 63) << 64  # ld64 writes the special ones, -1 to -3, this way
            other = decode(content.string(cursor)) or name
            source = imported(other, ordinal, self.libraries)
            if source is None:
                raise content.fail(f"re-export from unknown library {ordinal}")
        return Export(
            name=name,
            kind=_KINDS[kind],
            weak=bool(flags & _WEAK_DEFINITION),
            source=source,
        )


_ENTRY_END = b"\1"
_STRONG, _WEAK = b"s", b"w"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedExports(Exports):
    r"""Exports from a symbol table, in one sorted text of `\0name\1s` (or `w`: weak) entries."""

    table: View

    @classmethod
    def of(cls, names: Iterable[tuple[str, bool]]) -> ListedExports:
        """Take pairs of a name and whether its definition is weak."""
        entries = sorted({(encode(name), weak) for name, weak in names})
        text = b"".join(b"\0" + name + _ENTRY_END + (_WEAK if weak else _STRONG) for name, weak in entries)
        return cls(table=View.whole(text, "list of exports"))

    def find(self, name: str) -> Export | None:
        """Search the text: some milliseconds at worst, and such binaries are small and old."""
        table = self.table
        entry = b"\0" + encode(name) + _ENTRY_END
        at = table.buffer.find(entry, table.start, table.stop)
        if at < 0:
            return None
        after = at + len(entry)
        return Export(name=name, weak=table.buffer[after : after + 1] == _WEAK)

    def __iter__(self) -> Iterator[Export]:
        """Go through the names in order."""
        for entry in self.table.raw().split(b"\0")[1:]:
            name, _, mark = entry.rpartition(_ENTRY_END)
            yield Export(name=decode(name), weak=mark == _WEAK)

    def pieces(self) -> dict[str, View]:
        """Give the text."""
        return {"list": self.table}
