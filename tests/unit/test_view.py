"""binaries/view: numbers and names are read inside their bounds."""

from __future__ import annotations

import pytest
from make_samples import uleb

from metalock.binaries.model import InvalidBinary
from metalock.binaries.view import View


@pytest.mark.parametrize("value", [0, 127, 128, (1 << 63) - 1])
def test_uleb(value: int) -> None:
    data = b"xy" + uleb(value) + b"z"
    assert View.whole(data).part(1, len(data) - 1, "part").uleb(1) == (value, len(data) - 2)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x80" * 9, b"\x80" * 10 + b"\x00"])
def test_a_number_without_an_end(data: bytes) -> None:
    with pytest.raises(InvalidBinary, match="number without an end"):
        View.whole(data).uleb(0)
