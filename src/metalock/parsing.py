"""Parsers for text from outside (programs, servers, people): a value, or a `ValueError` and nothing else."""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from email.message import Message

HUGE = 2**63
"""The first integer that TOML and other languages can't hold; Python refuses to print very long ones."""
MOST_HEADERS = 1 << 20
"""Bytes of a METADATA file before its description; TensorFlow's are 6,000."""
_BOM = "\ufeff"
_KEY = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_DEEP_KEY = re.compile(rf"(?<![\w-]){_KEY}(?:[ \t]*+\.[ \t]*+{_KEY}){{64}}")
"""A dotted key of 65 parts: tomllib's time grows with the square of their number."""
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def plain_text(data: bytes) -> str:
    """Decode UTF-8, without a byte order mark, and with CRLF as LF: git and editors on Windows add both."""
    return without_crlf(data.decode())


def without_crlf(text: str) -> str:
    """Remove a byte order mark, and change CRLF to LF."""
    return text.removeprefix(_BOM).replace("\r\n", "\n")


def with_ends_of(old: bytes, text: str) -> str:
    """Return the text with the byte order mark and the ends of lines that its old version has."""
    if b"\r\n" in old and old.count(b"\r\n") == old.count(b"\n"):
        text = text.replace("\n", "\r\n")
    return _BOM + text if old.startswith(_BOM.encode()) else text


def parse_json(data: str | bytes) -> object:
    """Return the JSON value; raise `ValueError` for anything that JSON or a float64 does not have.

    Python's own parser also accepts NaN, integers of any length and half surrogate pairs, which fail later:
    at a conversion, or when the text is printed.
    """
    text = without_crlf(data if isinstance(data, str) else data.decode())
    try:
        value: object = json.loads(text, parse_int=_integer, parse_float=_number, parse_constant=_no_constant)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("nested too deep") from None
    except UnicodeEncodeError:
        raise ValueError("half of a surrogate pair in a string") from None
    return value


def _integer(text: str) -> int:
    value = int(text)
    if abs(value) >= HUGE:
        raise ValueError("an integer of more than 64 bits")
    return value


def _number(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError("a number that is too large")
    return value


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def as_table(value: object) -> dict[str, object]:
    """Return the value if it is a JSON object, else raise `ValueError`."""
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004 - a fault of the text, as all others
    return value


def as_text(value: object) -> str:
    """Return the value if it is a string, else raise `ValueError`."""
    if not isinstance(value, str):
        raise ValueError("not a string")  # noqa: TRY004 - a fault of the text, as all others
    return value


def as_list(value: object) -> list[object]:
    """Return the value if it is an array, else raise `ValueError`."""
    if not isinstance(value, list):
        raise ValueError("not an array")  # noqa: TRY004 - a fault of the text, as all others
    return value


def parse_toml(text: str) -> dict[str, object]:
    """Return the TOML table; raise `ValueError` for invalid TOML, or one that is nested too deep."""
    if _DEEP_KEY.search(text):
        raise ValueError("nested too deep: a dotted key of more than 64 parts")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None


def parse_headers(data: bytes) -> Message:
    """Return the headers of a METADATA or PKG-INFO file; bytes that are not UTF-8 are replaced.

    In time that grows with their size: `packaging.metadata.parse_email` searches all headers again for
    each name, and parses the description as mail.
    """
    from email.parser import HeaderParser

    head, _, _ = without_crlf(data.decode(errors="replace")).partition("\n\n")
    if len(head) > MOST_HEADERS:
        raise ValueError(f"headers of more than {MOST_HEADERS >> 10} KiB")
    return HeaderParser().parsestr(head)
