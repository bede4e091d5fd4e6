from __future__ import annotations

import io

import pytest
from make_samples import ELF, FAT, MACHO
from make_wheels import FILE, METADATA, make_wheel

from metalock.audit.facts import WheelFacts, dump, load
from metalock.audit.wheel import read_wheel
from metalock.binaries import InvalidBinary
from metalock.platforms import Platform

FACTS = read_wheel(
    io.BytesIO(
        make_wheel(
            {
                "pkg/ä.so": MACHO["arm64-chained"] + b"\0numpy.core._multiarray_umath\0",
                "pkg/b.so": FAT["fat"],
                "pkg/c.so": ELF["elf-gnu-hash"],
                "pkg/d.so": MACHO["arm64-bundle"][:40],
                "sample-1.0.dist-info/RECORD": b"pkg/b.so,sha256=AAEC,2\n",
            },
            metadata=METADATA + "Requires-Dist: six\n",
        )
    ),
    FILE,
    "0" * 64,
    Platform.OSX_ARM64,
)


def dumped(facts: WheelFacts) -> bytes:
    stream = io.BytesIO()
    dump(facts, stream)
    return stream.getvalue()


STORED = dumped(FACTS)


def test_nothing_is_lost() -> None:
    again = load(STORED)
    assert again.record
    for name in WheelFacts.__dataclass_fields__:
        if name != "binaries":
            assert getattr(again, name) == getattr(FACTS, name), name
    assert list(again.binaries) == sorted(FACTS.binaries)
    assert again.binaries["pkg/ä.so"].imports == FACTS.binaries["pkg/ä.so"].imports
    assert again.binaries["pkg/ä.so"].exports.find("_TF_NewStatus")
    assert dumped(again) == STORED


@pytest.mark.parametrize(
    "data",
    [
        b"",
        STORED[:30],
        STORED[:100],
        STORED[:-1],
        b"x" + STORED[1:],
        STORED[:8] + b"\xff" + STORED[9:],
        STORED[:60] + bytes([STORED[60] ^ 1]) + STORED[61:],
    ],
)
def test_damage_is_reported(data: bytes) -> None:
    with pytest.raises(InvalidBinary):
        load(data)
