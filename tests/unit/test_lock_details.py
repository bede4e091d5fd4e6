"""lock/model: what a digest is made of."""

from __future__ import annotations

import hashlib

import pytest

from metalock.lock.model import digest_of
from metalock.lock.text import LockTextError, parse_lock


def test_a_digest_knows_no_order_of_keys() -> None:
    assert digest_of({"b": [1, 2], "a": {"d": 1, "c": 2}}) == digest_of({"a": {"c": 2, "d": 1}, "b": [1, 2]})
    assert digest_of([1, 2]) != digest_of([2, 1])


def test_a_digest_is_of_ascii_text_without_spaces() -> None:
    expected = hashlib.sha256(b'{"\\u00e9":["\\u00fc",1]}').hexdigest()
    assert digest_of({"é": ["ü", 1]}) == expected


@pytest.mark.parametrize("text", ["", "{}", '{\n "schema": 1\n}\n'])
def test_a_text_without_a_digest_is_reported_as_such(text: str) -> None:
    with pytest.raises(LockTextError, match="begin with its digest"):
        parse_lock(text)
