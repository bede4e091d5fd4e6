"""The ELF reader on what a real linker writes."""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from metalock.binaries import Binary, Export, ExportKind, Import, Lookup, read, read_stream


def streamed(data: bytes) -> Binary:
    with tempfile.TemporaryFile() as spool:
        return read_stream(io.BytesIO(data), spool)


def flat(name: str, version: str | None = None) -> Import:
    return Import(name=name, lookup=Lookup.FLAT, version=version)


SOURCE = """
extern int puts(const char *);
extern int outside(void) __attribute__((weak));
__thread int local_to_threads = 1;
int offered(void) { return outside ? outside() : puts("x"); }
__attribute__((weak)) int offered_weakly(void) { return local_to_threads; }
__asm__(".symver old_name, offered@OLD");
int old_name(void) { return 2; }
"""


@pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc here")
@pytest.mark.parametrize("style", ["gnu", "sysv", "both"])
def test_what_a_real_linker_writes(tmp_path: Path, style: str) -> None:
    (tmp_path / "a.c").write_text(SOURCE)
    (tmp_path / "a.map").write_text("OLD { };\nNEW { global: offered; } OLD;\n")
    flags = ["-shared", "-fPIC", f"-Wl,--hash-style={style}", "-Wl,-soname,liba.so.1"]
    flags += ["-Wl,-rpath,$ORIGIN/lib", "-Wl,--enable-new-dtags", "-Wl,--version-script=a.map"]
    subprocess.run(["gcc", *flags, "a.c", "-o", "liba.so"], cwd=tmp_path, check=True)
    data = (tmp_path / "liba.so").read_bytes()
    for binary in (read(data), streamed(data)):
        exports = binary.exports
        assert (binary.name, binary.runpaths) == ("liba.so.1", ("$ORIGIN/lib",))
        assert binary.floor is not None
        assert exports.find("offered") == Export(name="offered", version="NEW")
        assert exports.provides(flat("offered", "OLD"))
        assert not exports.provides(flat("offered", "NEVER"))
        assert exports.find("offered_weakly") == Export(name="offered_weakly", weak=True)
        found = exports.find("local_to_threads")
        assert found is not None
        assert found.kind is ExportKind.THREAD_LOCAL
        weak = {one.name: one.weak for one in binary.imports or ()}
        assert weak["puts"] is False
        assert weak["outside"] is True
