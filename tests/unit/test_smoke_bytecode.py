"""Bytecode shared between prefixes."""

from __future__ import annotations

from pathlib import Path

from metalock.smoke.bytecode import share_bytecode


def test_bytecode_is_shared_and_the_original_stays(tmp_path: Path) -> None:
    pycache, prefix, other = tmp_path / "pycache", tmp_path / "prefix", tmp_path / "other"
    compiled = pycache / str(prefix).lstrip("/") / "lib" / "x.cpython-311.pyc"
    compiled.parent.mkdir(parents=True)
    compiled.write_bytes(b"code")
    share_bytecode(prefix, other, pycache)
    shared = pycache / str(other).lstrip("/") / "lib" / "x.cpython-311.pyc"
    assert shared.samefile(compiled)
    (new := shared.with_name("new")).write_bytes(b"other code")
    new.replace(shared)  # as Python writes bytecode
    assert compiled.read_bytes() == b"code"


def test_nothing_compiled_is_nothing_to_share(tmp_path: Path) -> None:
    share_bytecode(tmp_path / "prefix", tmp_path / "other", tmp_path / "pycache")
    assert not (tmp_path / "pycache").exists()
