"""The verdicts of the audit next to those of the real `dlopen`, for small ELF files built with gcc."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from metalock.audit.linking import ENTRY, GLOBAL_FLAGS, Images, Missing, is_library_name
from metalock.audit.systems import System
from metalock.binaries import Binary, FileType, Format, InvalidBinary, read, sniff

pytestmark = [
    pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc here"),
    pytest.mark.skipif(
        sys.platform != "linux" or os.uname().machine != "x86_64", reason="not Linux on x86_64"
    ),
]
PLUGIN = "plugin/libplugin.so"
FRAMEWORK = "tensorflow/libframework.so.2"
OPEN = """
import ctypes, os, sys
if os.path.exists(sys.argv[1]):
    ctypes.CDLL(sys.argv[1], os.RTLD_NOW | (os.RTLD_GLOBAL if sys.argv[3] == "global" else os.RTLD_LOCAL))
ctypes.CDLL(sys.argv[2], os.RTLD_NOW)
"""


@dataclass(frozen=True, slots=True)
class Site:
    """A folder of files like site-packages."""

    root: Path

    def build(self, path: str, source: str, *flags: str) -> None:
        """Compile a file with these flags; its folder is made."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        command = ["gcc", "-fPIC", "-o", str(target), "-x", "c", "-", "-x", "none", *flags]
        subprocess.run(command, input=source, text=True, check=True, cwd=self.root, capture_output=True)

    def shared(self, path: str, source: str, *flags: str) -> None:
        """Link a shared library; its SONAME is the name of the file, unless the flags say otherwise."""
        self.build(path, source, "-shared", f"-Wl,-soname,{Path(path).name}", *flags)

    def write(self, path: str, data: bytes) -> None:
        """Write a file that no compiler made."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(data)

    def patch(self, path: str, at: int, data: bytes) -> None:
        """Overwrite some bytes of a file."""
        old = (self.root / path).read_bytes()
        (self.root / path).write_bytes(old[:at] + data + old[at + len(data) :])

    def tensorflow(self, exported: str = "int TF_There(void) { return 1; }") -> None:
        """Build an entry library that links a framework library."""
        self.shared(FRAMEWORK, exported, "-Wl,-soname,libframework.so.2")
        entry = "int TF_There(void); int entry(void) { return TF_There(); }"
        self.shared(ENTRY, entry, f"{self.root}/{FRAMEWORK}", "-Wl,-rpath,$ORIGIN/..")

    def links(self, source: str, *libraries: str, rpath: str = "$ORIGIN") -> None:
        """Build the plugin, linked to libraries of this folder."""
        found = [f"{self.root}/{path}" for path in libraries]
        self.shared(PLUGIN, source, "-Wl,--no-as-needed", *found, f"-Wl,-rpath,{rpath}")

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Give each file by its path, as an installer writes it: a link in a wheel is a text."""
        for path in sorted(self.root.rglob("*")):
            if path.is_file():
                yield path.relative_to(self.root).as_posix(), path.read_bytes()


USES_OWN = "int own(void); int plugin(void) { return own(); }"
OWN = "int own(void) { return 1; }"
USES_TF = "int TF_There(void); int plugin(void) { return TF_There(); }"
EMPTY = "int plugin(void) { return 0; }"


def text_file(site: Site) -> None:
    site.write(PLUGIN, b"libplugin.so.1")


def empty_file(site: Site) -> None:
    site.write(PLUGIN, b"")


def object_file(site: Site) -> None:
    site.build(PLUGIN, EMPTY, "-c")


def linked_text(site: Site) -> None:
    site.shared("plugin/libown.so", OWN)
    site.links(USES_OWN, "plugin/libown.so")
    site.write(
        "plugin/libown.so", b"a text that is longer than an ELF header, which has 64 bytes, as it says\n"
    )


def linked_empty(site: Site) -> None:
    linked_text(site)
    site.write("plugin/libown.so", b"")


def linked_object(site: Site) -> None:
    site.shared("plugin/libown.so", OWN, "-Wl,-soname,libown.so")
    site.links(USES_OWN, "plugin/libown.so")
    site.build("plugin/libown.so", OWN, "-c")


def entry_lacks_a_symbol(site: Site) -> None:
    site.tensorflow("int other(void) { return 1; }")
    site.shared(PLUGIN, EMPTY)


def soname_is_loaded(site: Site) -> None:
    site.tensorflow("int TF_There(void) { return 1; }")
    site.shared("plugin/libframework.so.2", OWN, "-Wl,-soname,libframework.so.2")
    site.links(USES_OWN, "plugin/libframework.so.2")


def soname_is_not_loaded(site: Site) -> None:
    site.tensorflow()
    site.shared("plugin/libframework.so.3", OWN, "-Wl,-soname,libframework.so.3")
    site.links(USES_OWN, "plugin/libframework.so.3")


def _versioned(site: Site, version: str) -> None:
    (site.root / "map").write_text(f"{version} {{ global: own; }};\n")
    site.shared("plugin/libown.so", OWN, f"-Wl,--version-script={site.root}/map", "-Wl,-soname,libown.so")
    (site.root / "map").unlink()


def version_is_not_defined(site: Site) -> None:
    _versioned(site, "OWN_2")
    site.links(USES_OWN, "plugin/libown.so")
    _versioned(site, "OWN_1")


def version_is_defined(site: Site) -> None:
    _versioned(site, "OWN_2")
    site.links(USES_OWN, "plugin/libown.so")


def versions_are_gone(site: Site) -> None:
    version_is_defined(site)
    site.shared("plugin/libown.so", OWN, "-Wl,-soname,libown.so")


def versions_are_gone_but_there_is_a_table(site: Site) -> None:
    """The table is there for the versions of libc that the library needs."""
    version_is_defined(site)
    site.shared("plugin/libown.so", '#include <stdio.h>\nint own(void) { return puts("own"); }')


def _system_version(site: Site, library: str, version: str) -> None:
    (site.root / "map").write_text(f"{version} {{ global: own; }};\n")
    name = f"stub/{library}"
    site.shared(name, OWN, f"-Wl,--version-script={site.root}/map", f"-Wl,-soname,{library}")
    site.links(USES_OWN, name, rpath="/nowhere")
    shutil.rmtree(site.root / "stub")
    (site.root / "map").unlink()


def glibcxx_version(site: Site) -> None:
    _system_version(site, "libstdc++.so.6", "GLIBCXX_3.4.99")


def cxxabi_version(site: Site) -> None:
    _system_version(site, "libstdc++.so.6", "CXXABI_1.3.99")


def glibc_version(site: Site) -> None:
    _system_version(site, "libm.so.6", "GLIBC_2.19")


def gcc_version(site: Site) -> None:
    _system_version(site, "libgcc_s.so.1", "GCC_99.0.0")


def version_of_another_library(site: Site) -> None:
    _system_version(site, "libm.so.6", "GLIBCXX_3.4")


def glibc_version_of_another_library(site: Site) -> None:
    _system_version(site, "libgcc_s.so.1", "GLIBC_2.2.5")


def ordinary_symbol(site: Site) -> None:
    site.shared(PLUGIN, "int frobnicate(void); int plugin(void) { return frobnicate(); }")


def symbol_of_a_library_not_linked(site: Site) -> None:
    site.shared("plugin/libown.so", OWN)
    site.shared(PLUGIN, USES_OWN)


def system_library_of_another_version(site: Site) -> None:
    site.shared("stub/libSM.so.99", OWN, "-Wl,-soname,libSM.so.99")
    site.links(EMPTY, "stub/libSM.so.99", rpath="/nowhere")
    shutil.rmtree(site.root / "stub")


def unknown_library(site: Site) -> None:
    site.shared("stub/libnowhere.so.1", OWN, "-Wl,-soname,libnowhere.so.1")
    site.links(EMPTY, "stub/libnowhere.so.1", rpath="/nowhere")
    shutil.rmtree(site.root / "stub")


def cut_off(site: Site) -> None:
    data = "char data[400000] = {1}; int plugin(void) { return data[9]; }"
    site.shared(PLUGIN, data)
    site.write(PLUGIN, (site.root / PLUGIN).read_bytes()[:100000])


def cut_off_in_the_sections(site: Site) -> None:
    site.shared(PLUGIN, EMPTY)
    site.write(PLUGIN, (site.root / PLUGIN).read_bytes()[:-200])


def cut_off_in_the_header(site: Site) -> None:
    site.shared(PLUGIN, EMPTY)
    site.write(PLUGIN, (site.root / PLUGIN).read_bytes()[:40])


def class_32(site: Site) -> None:
    site.shared(PLUGIN, EMPTY)
    site.patch(PLUGIN, 4, b"\x01")


def big_endian(site: Site) -> None:
    site.shared(PLUGIN, EMPTY)
    site.patch(PLUGIN, 5, b"\x02")


def other_system(site: Site) -> None:
    site.shared(PLUGIN, EMPTY)
    site.patch(PLUGIN, 7, b"\x09")


def other_abi_version(site: Site) -> None:
    site.shared(PLUGIN, EMPTY)
    site.patch(PLUGIN, 8, b"\x01")


def other_abi_version_of_gnu(site: Site) -> None:
    site.shared(PLUGIN, EMPTY)
    site.patch(PLUGIN, 7, b"\x03\x09")


def padding_of_the_header(site: Site) -> None:
    site.shared(PLUGIN, EMPTY)
    site.patch(PLUGIN, 9, b"\x01")


def other_machine(site: Site) -> None:
    site.shared(PLUGIN, EMPTY)
    site.patch(PLUGIN, 18, b"\xb7\x00")


def other_elf_version(site: Site) -> None:
    site.shared(PLUGIN, EMPTY)
    site.patch(PLUGIN, 20, b"\x02")


def nothing_to_load(site: Site) -> None:
    site.shared(PLUGIN, EMPTY)
    data = bytearray((site.root / PLUGIN).read_bytes())
    for at in range(64, 64 + 56 * data[56], 56):
        if data[at] == 1:
            data[at] = 0
    site.write(PLUGIN, bytes(data))


def no_dynamic_section(site: Site) -> None:
    site.shared(PLUGIN, EMPTY)
    data = bytearray((site.root / PLUGIN).read_bytes())
    for at in range(64, 64 + 56 * data[56], 56):
        if data[at] == 2:
            data[at] = 0
    site.write(PLUGIN, bytes(data))


def thread_local(site: Site) -> None:
    site.shared("plugin/libown.so", "__thread int own = 1;")
    site.links("extern __thread int own; int plugin(void) { return own; }", "plugin/libown.so")


def indirect_function(site: Site) -> None:
    site.shared(
        PLUGIN,
        "static int one(void) { return 1; } static void *choose(void) { return one; }"
        'int own(void) __attribute__((ifunc("choose"))); int plugin(void) { return own(); }',
    )


def weak_undefined(site: Site) -> None:
    site.shared(
        PLUGIN, "__attribute__((weak)) int gone(void); int plugin(void) { return gone ? gone() : 0; }"
    )


def hidden_by_rtld_local(site: Site) -> None:
    site.tensorflow()
    site.shared(PLUGIN, USES_TF)


def seen_by_rtld_global(site: Site) -> None:
    site.tensorflow()
    site.write(GLOBAL_FLAGS, b"")
    site.shared(PLUGIN, USES_TF)


def linked_to_what_is_loaded(site: Site) -> None:
    site.tensorflow()
    site.links(USES_TF, FRAMEWORK, rpath="/nowhere")


def _chain(site: Site, tag: str, middle: str = "") -> None:
    site.shared("libs/libown.so", OWN, "-Wl,-soname,libown.so")
    source = "int own(void); int middle(void) { return own(); }"
    flags = [middle] if middle else []
    site.shared(
        "libs/libmiddle.so", source, f"{site.root}/libs/libown.so", "-Wl,-soname,libmiddle.so", *flags
    )
    site.shared(
        PLUGIN,
        "int middle(void); int plugin(void) { return middle(); }",
        f"{site.root}/libs/libmiddle.so",
        f"-Wl,-rpath-link,{site.root}/libs",
        f"-Wl,{tag}",
        "-Wl,-rpath,$ORIGIN/../libs",
    )


def rpath_serves_what_is_below(site: Site) -> None:
    _chain(site, "--disable-new-dtags")


def runpath_serves_its_own_file(site: Site) -> None:
    _chain(site, "--enable-new-dtags")


def runpath_in_between(site: Site) -> None:
    _chain(site, "--disable-new-dtags", "-Wl,--enable-new-dtags,-rpath,/nowhere")


def run_path_that_only_begins_like_origin(site: Site) -> None:
    site.shared("plugin/more/libown.so", OWN)
    site.links(USES_OWN, "plugin/more/libown.so", rpath="$ORIGINmore")


def filter_of_a_library_that_is_missing(site: Site) -> None:
    site.shared(PLUGIN, OWN, "-Wl,--filter=libnowhere.so.1")


def auxiliary_filter(site: Site) -> None:
    site.shared(PLUGIN, OWN, "-Wl,--auxiliary=libnowhere.so.1")


def filter_of_a_library(site: Site) -> None:
    site.shared("plugin/libown.so", OWN)
    site.shared(PLUGIN, EMPTY, "-Wl,--filter=libown.so", "-Wl,-rpath,$ORIGIN")


def renamed_link(site: Site) -> None:
    """An installer writes a link of a wheel as a text with the link's target."""
    site.shared("plugin/libown.so.1", OWN, "-Wl,-soname,libown.so")
    site.links(USES_OWN, "plugin/libown.so.1")
    site.write("plugin/libown.so", b"libown.so.1")


def position_dependent_program(site: Site) -> None:
    site.build(PLUGIN, "int main(void) { return 0; }", "-no-pie")


def position_independent_program(site: Site) -> None:
    site.build(PLUGIN, "int main(void) { return 0; }", "-pie")


def linked_program(site: Site) -> None:
    site.shared("plugin/libown.so", OWN, "-Wl,-soname,libown.so")
    site.links(USES_OWN, "plugin/libown.so")
    site.build("plugin/libown.so", OWN + " int main(void) { return 0; }", "-pie", "-rdynamic")


def interpreter_in_a_library(site: Site) -> None:
    source = EMPTY + ' const char path[] __attribute__((section(".interp"))) = "/lib64/ld-linux-x86-64.so.2";'
    site.shared(PLUGIN, source)


def not_for_dlopen(site: Site) -> None:
    site.shared(PLUGIN, EMPTY, "-Wl,-z,nodlopen")


def no_hash_table(site: Site) -> None:
    """Without it, glibc finds nothing in the library: its tag is changed to one without a meaning."""
    site.shared("plugin/libown.so", OWN, "-Wl,--hash-style=gnu")
    site.links(USES_OWN, "plugin/libown.so")
    data = (site.root / "plugin/libown.so").read_bytes()
    tag = (0x6FFFFEF5).to_bytes(8, "little")
    assert data.count(tag) == 1
    site.patch("plugin/libown.so", data.index(tag), (0x6FFFFE00).to_bytes(8, "little"))


def sysv_hash_table(site: Site) -> None:
    site.shared("plugin/libown.so", OWN, "-Wl,--hash-style=sysv")
    site.links(USES_OWN, "plugin/libown.so")


def executable_stack(site: Site) -> None:
    site.shared(PLUGIN, EMPTY, "-Wl,-z,execstack")


def text_relocation(site: Site) -> None:
    site.shared(PLUGIN, EMPTY + ' __asm__(".text\\n.quad plugin\\n");', "-Wl,-z,notext")


def wrong_machine_first_on_the_path(site: Site) -> None:
    site.shared("good/libown.so", OWN, "-Wl,-soname,libown.so")
    site.links(USES_OWN, "good/libown.so", rpath="$ORIGIN/../bad:$ORIGIN/../good")
    shutil.copytree(site.root / "good", site.root / "bad")
    site.patch("bad/libown.so", 18, b"\xb7\x00")


def libc_function_without_libc(site: Site) -> None:
    site.shared(PLUGIN, 'int puts(const char *); int plugin(void) { return puts(""); }', "-nostdlib")


def python_function(site: Site) -> None:
    site.shared(PLUGIN, "void *PyList_New(long); void *plugin(void) { return PyList_New(0); }")


def circle(site: Site) -> None:
    site.shared("plugin/libown.so", OWN, "-Wl,-soname,libown.so")
    site.links(USES_OWN, "plugin/libown.so")
    back = OWN + " int plugin(void); int back(void) { return plugin(); }"
    site.shared(
        "plugin/libown.so", back, f"{site.root}/{PLUGIN}", "-Wl,-soname,libown.so", "-Wl,-rpath,$ORIGIN"
    )


REFUSED: list[Callable[[Site], None]] = [
    text_file, empty_file, object_file, linked_text, linked_empty, linked_object, entry_lacks_a_symbol,
    soname_is_loaded, version_is_not_defined, glibcxx_version, cxxabi_version, glibc_version, gcc_version,
    ordinary_symbol, symbol_of_a_library_not_linked, system_library_of_another_version, unknown_library,
    cut_off,    cut_off_in_the_header, class_32, big_endian, other_system, other_machine, other_elf_version,
    nothing_to_load, no_dynamic_section, hidden_by_rtld_local, runpath_serves_its_own_file,
    renamed_link, position_dependent_program, position_independent_program, linked_program,
    not_for_dlopen, no_hash_table, versions_are_gone, runpath_in_between,
    version_of_another_library, glibc_version_of_another_library, other_abi_version,
    other_abi_version_of_gnu, padding_of_the_header, run_path_that_only_begins_like_origin,
    filter_of_a_library_that_is_missing,
]  # fmt: skip
LOADED: list[Callable[[Site], None]] = [
    soname_is_not_loaded, version_is_defined, versions_are_gone_but_there_is_a_table, cut_off_in_the_sections,
    thread_local,    indirect_function, weak_undefined, seen_by_rtld_global, linked_to_what_is_loaded,
    rpath_serves_what_is_below,    interpreter_in_a_library, sysv_hash_table, executable_stack,
    text_relocation, auxiliary_filter, filter_of_a_library,
    wrong_machine_first_on_the_path, libc_function_without_libc, python_function, circle,
]  # fmt: skip


def glibc() -> tuple[int, ...]:
    """Return the version of this machine's C library."""
    return tuple(int(part) for part in (os.confstr("CS_GNU_LIBC_VERSION") or "glibc 0").split()[1].split("."))


def dlopen(site: Site) -> bool:
    """Return whether a process can load TensorFlow's entry library, if there is one, and then the plugin."""
    scope = "global" if (site.root / GLOBAL_FLAGS).exists() else "local"
    command = [sys.executable, "-c", OPEN, f"{site.root}/{ENTRY}", f"{site.root}/{PLUGIN}", scope]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def loads(site: Site) -> bool:
    """Return whether the audit has nothing against the files: each is read, and each root finds all."""
    binaries: dict[str, Binary] = {}
    foreign, paths = set(), []
    for path, data in site.files():
        paths.append(path)
        if sniff(data):
            try:
                binary = read(data)
            except InvalidBinary:
                return False
            if binary.architecture == "x86_64" and binary.file_type is not FileType.OTHER:
                binaries[path] = binary
            elif binary.architecture != "x86_64":
                foreign.add(path)
    images = Images(binaries, paths, system=System(format=Format.ELF), foreign=foreign)
    opened = [path for path in paths if is_library_name(path) and path.startswith("plugin/")]
    kinds = [binaries[path].file_type if path in binaries else None for path in opened]
    missing = Missing()
    for root in images.roots():
        missing |= images.missing(root)
    return set(kinds) == {FileType.LIBRARY} and not missing and not missing.unjudged


@pytest.mark.parametrize("make", [*REFUSED, *LOADED], ids=lambda make: str(make.__name__))
def test_as_dlopen(make: Callable[[Site], None], tmp_path: Path) -> None:
    if make is executable_stack and glibc() >= (2, 41):
        pytest.skip("glibc 2.41 and later refuse it unless a setting allows it")
    site = Site(tmp_path)
    make(site)
    assert dlopen(site) is (make in LOADED), "the case is not what it is meant to be"
    assert loads(site) is (make in LOADED)
