"""What the audit knows of a wheel, and the file that it is kept in.

Layout: magic, format number, size and SHA-256 of the head; the head, deflated JSON; the fingerprint
of the binaries. The head is small and read at once, the fingerprint where it is asked.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from struct import Struct
from typing import IO, TYPE_CHECKING, Any

from metalock.binaries import Binary, InvalidBinary, fingerprint
from metalock.parsing import as_table, parse_json

if TYPE_CHECKING:
    from mmap import mmap

FORMAT = 3
OUTSIDE = ".data"
"""What a wheel installs outside of site-packages is kept below this: `.data/scripts/saved_model_cli`."""
_MAGIC = b"metafact"
_HEADER = Struct("<8s2I32s")
_FAST = 1
_MOST_HEAD = 256 << 20
"""Bytes of an inflated head: 200,000 paths of more than 1,000 characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelFacts:
    """One wheel as it would be installed on one platform; paths are relative to site-packages."""

    name: str
    """Normalized, as `version` is; both from the file's name."""
    version: str
    file: str
    sha256: str
    requires: tuple[str, ...]
    """`Requires-Dist` as written, in the order of the file."""
    requires_python: str | None
    paths: tuple[str, ...]
    """All files that it installs, sorted; scripts, headers and data are below `.data`."""
    binaries: Mapping[str, Binary]
    """Those of the platform, thin. The coalesced imports of giant Mach-O files are not read."""
    foreign: Mapping[str, tuple[str, ...]]
    """Path of a binary that can't be loaded there to the architectures, or the system, that it is for."""
    numpy: Mapping[str, int]
    """Path of an extension that uses NumPy's C API to the major version that it was compiled with."""
    record: str
    """The digest of its RECORD, see `metalock.records`; empty if it has none."""
    unreadable: Mapping[str, str]
    """Path of a file that begins like a binary to what is wrong with it."""

    @property
    def is_stub(self) -> bool:
        """Return whether it installs nothing that could be imported."""
        tops = (path.partition("/")[0] for path in self.paths)
        return all(top == OUTSIDE or top.endswith(".dist-info") for top in tops)


def dump(facts: WheelFacts, stream: IO[bytes]) -> None:
    """Write the facts; equal ones give equal bytes."""
    head = {
        "name": facts.name,
        "version": facts.version,
        "file": facts.file,
        "sha256": facts.sha256,
        "requires": facts.requires,
        "requires_python": facts.requires_python,
        "paths": "\n".join(facts.paths),
        "foreign": dict(facts.foreign),
        "numpy": dict(facts.numpy),
        "record": facts.record,
        "unreadable": dict(facts.unreadable),
    }
    data = zlib.compress(json.dumps(head, sort_keys=True).encode(), _FAST)
    stream.write(_HEADER.pack(_MAGIC, FORMAT, len(data), sha256(data).digest()))
    stream.write(data)
    fingerprint.dump(facts.binaries, stream)


def load(buffer: bytes | mmap) -> WheelFacts:
    """Read facts that were dumped; raise `InvalidBinary` if they are damaged or of another format."""
    if len(buffer) < _HEADER.size:
        raise InvalidBinary("facts are cut off")
    magic, version, size, digest = _HEADER.unpack_from(buffer)
    data = buffer[_HEADER.size : _HEADER.size + size]
    if magic != _MAGIC or version != FORMAT:
        raise InvalidBinary(f"not facts of format {FORMAT}")
    if sha256(data).digest() != digest:
        raise InvalidBinary("facts are damaged")
    try:
        return _facts_of(_head_of(data), fingerprint.load(buffer, _HEADER.size + size))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, zlib.error) as error:
        raise InvalidBinary(f"facts are damaged: {error}") from None


def _head_of(data: bytes) -> dict[str, Any]:
    """Inflate and parse the head; raise `ValueError` for a head that no wheel has."""
    inflater = zlib.decompressobj()
    text = inflater.decompress(data, _MOST_HEAD)
    if not inflater.eof:
        raise ValueError("the head is cut off, or too large")
    return as_table(parse_json(text))


def _facts_of(head: dict[str, Any], binaries: Mapping[str, Binary]) -> WheelFacts:
    return WheelFacts(
        name=head["name"],
        version=head["version"],
        file=head["file"],
        sha256=head["sha256"],
        requires=tuple(head["requires"]),
        requires_python=head["requires_python"],
        paths=tuple(head["paths"].split("\n")),
        binaries=binaries,
        foreign={path: tuple(found) for path, found in head["foreign"].items()},
        numpy=head["numpy"],
        record=head["record"],
        unreadable=head["unreadable"],
    )
