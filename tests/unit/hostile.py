"""Files and values that no program should write, and that every reader has to survive."""

from __future__ import annotations

import json
import os
import signal
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from metalock.errors import MetalockError

SECONDS = 30
MEMORY = 100 << 20
"""Bytes that a reader may hold for a file that is too large: less than the file has."""
SPARSE = 200 << 20

CONTENTS: dict[str, bytes] = {
    "empty": b"",
    "NUL": b"\0" * 100,
    "not UTF-8": b"\xff\xfe\x80",
    "byte order mark alone": b"\xef\xbb\xbf",
    "CRLF alone": b"\r\n\r\n",
    "null": b"null",
    "number": b"5",
    "400 digits": b"1" * 400,
    "5000 digits": b"1" * 5000,
    "1e999": b"1e999",
    "NaN": b"NaN",
    "string": b'"x"',
    "lone surrogate": b'["\\ud800"]',
    "array": b"[]",
    "array of arrays": b"[[]]",
    "object": b"{}",
    "deep array": b"[" * 100_000,
    "deep object": b'{"a":' * 100_000,
    "deep closed array": b"[" * 100_000 + b"]" * 100_000,
    "deep YAML": b"".join(b" " * depth + b"a:\n" for depth in range(500)),
    "YAML aliases": b"a: &a [x, x]\nb: &b [*a, *a]\nchannel_alias: [*b, *b]\n",
    "YAML merge keys": b"a: &a {x: 1}\nb: &b {<<: [*a, *a]}\n",
    "YAML tags": b"a: !!timestamp x\n",
    "deep TOML key": b".".join([b"a"] * 100_000) + b" = 1",
    "deep TOML array": b"a = " + b"[" * 100_000,
    "long line": b"a" * 1_000_000,
    "many lines": b"a: b\n" * 200_000,
    "many quotes": b'"' * 300_001,
    "many headers": b"".join(b"X%d: y\n" % number for number in range(40_000)),
    "INI without value": b"[global]\nindex-url\n",
    "INI of two lines": b"[global]\nindex-url = https://a\n  https://b\n",
    "control characters": b'{"name": "\\u001b[2J\\u0000"}',
}  # fmt: skip


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(SPARSE)


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def _written(data: bytes, path: Path) -> None:
    path.write_bytes(data)


KINDS: dict[str, Callable[[Path], None]] = {
    "FIFO": _fifo,
    "directory": Path.mkdir,
    "endless device": _endless,
    "200 MB of zeros": _sparse,
    "symlink loop": _loop,
    "dangling symlink": _dangling,
}
PLANTS: dict[str, Callable[[Path], object]] = {
    **KINDS,
    **{name: partial(_written, data) for name, data in CONTENTS.items()},
}


def put(path: Path, plant: Callable[[Path], object]) -> None:
    """Replace the file by what `plant` makes there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    plant(path)


class TooLongError(BaseException):
    """Not an `Exception`: no reader may catch it."""


@contextmanager
def bounded(*names: str, seconds: int = SECONDS, memory: bool = False) -> Iterator[None]:
    """Fail where the block takes too long, needs too much memory, or raises anything but a `MetalockError`.

    The message of that error has to contain one of `names`. To measure `memory` takes a few times as long.
    """

    def too_long(_signal: int, _frame: FrameType | None) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    if memory:
        tracemalloc.start()
    try:
        yield
    except MetalockError as error:
        if not any(name in str(error) for name in names):
            pytest.fail(f"names no file: {error}")
    except TooLongError:
        pytest.fail(f"still at work after {seconds} s")
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < MEMORY, f"{peak >> 20} MiB"


VALUES: Sequence[object] = (
    None, True, -1, 10**400, 1.5, float("nan"), float("inf"), "", "x", "\ud800", "\0", "../..", "a\nb",
    "9" * 400, [], {}, [None], [[]], {"a": None}, ["\ud800"],
)  # fmt: skip


def mutations(value: Any) -> Iterator[Any]:
    """Every copy of a JSON value with one place replaced by another value, or removed."""
    yield from VALUES
    if isinstance(value, dict):
        for key in value:
            yield {name: item for name, item in value.items() if name != key}
            for other in mutations(value[key]):
                yield {**value, key: other}
    elif isinstance(value, list):
        for index, item in enumerate(value[:2]):
            for other in mutations(item):
                yield [*value[:index], other, *value[index + 1 :]]


def json_mutations(text: str) -> list[str]:
    return [json.dumps(value) for value in mutations(json.loads(text))]
