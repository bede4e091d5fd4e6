"""linking: ELF, and libraries as our own readers read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from audit_samples import ENTRY, FRAMEWORK, FRAMEWORK_NAME, PLUGIN, elf, flat, links
from make_elf import Elf, Needed, Symbol, Undefined
from make_samples import FLAT, LOAD, REEXPORT, Exported, Imported, MachO

from metalock.audit.linking import GLOBAL_FLAGS, Images, Missing
from metalock.audit.systems import System
from metalock.binaries import Binary, Format, NeededVersion, Version, read

TF = "_TF_NewStatus"
CPP = "__ZN10tensorflow6StatusC1Ev"
SYSTEM = "/usr/lib/libSystem.B.dylib"


def missing(user: Binary, more: dict[str, Binary] | None = None) -> Missing:
    return linux({SO_PLUGIN: user, **(more or {})}).missing(SO_PLUGIN)


def linux(binaries: dict[str, Binary], paths: Sequence[str] = (), floor: Version = (2, 28)) -> Images:
    return Images(binaries, paths, system=System(format=Format.ELF, floor=floor))


def built(sample: MachO | Elf) -> Binary:
    return read(sample.build())


def test_macho_sample_against_samples() -> None:
    framework = MachO(name=FRAMEWORK_NAME, exports=(Exported(name=TF), Exported(name=CPP)))
    entry = MachO(
        name="@rpath/_pywrap_tensorflow_internal.so",
        libraries=((LOAD, SYSTEM), (REEXPORT, FRAMEWORK_NAME)),
        rpaths=("@loader_path/..",),
        exports=(Exported(name="_renamed", flags=0x08, ordinal=2, imported_name=TF),),
    )
    plugin = MachO(
        libraries=((LOAD, SYSTEM), (LOAD, "@rpath/_pywrap_tensorflow_internal.so")),
        imports=(
            Imported(name="_malloc", ordinal=1),
            Imported(name=TF, ordinal=2),  # re-exported with its library
            Imported(name="_renamed", ordinal=2),  # re-exported in the trie
            Imported(name="_TF_NotThere", ordinal=2),
            Imported(name="_TF_Optional", ordinal=2, weak=True),
            Imported(name=CPP, ordinal=FLAT),
            Imported(name="__ZN3tsl8internal10LogMessageC1EPKcii", ordinal=FLAT),
        ),
    )
    images = Images({ENTRY: built(entry), FRAMEWORK: built(framework), PLUGIN: built(plugin)})
    assert images.loaded.keys() == {ENTRY, FRAMEWORK}
    assert images.missing(PLUGIN).symbols == ("_TF_NotThere", "__ZN3tsl8internal10LogMessageC1EPKcii")
    assert not images.missing(ENTRY)


GLIBC = Needed("libc.so.6", ((2, "GLIBC_2.14"),))
SO_FRAMEWORK = "tensorflow/libtensorflow_framework.so.2"
SO_PLUGIN = "tensorflow_io/python/ops/libtensorflow_io.so"


def linux_tensorflow(*exports: str) -> dict[str, Binary]:
    entry = Elf(libraries=("libtensorflow_framework.so.2", "libc.so.6"), runpath="$ORIGIN/..:/opt/lib")
    framework = Elf(name="libtensorflow_framework.so.2", exports=tuple(Symbol(name) for name in exports))
    return {ENTRY: built(entry), SO_FRAMEWORK: built(framework)}


def test_elf_sample_against_samples() -> None:
    plugin = Elf(
        libraries=("libtensorflow_framework.so.2", "libc.so.6", "libm.so.6"),
        imports=(
            Undefined("TF_NewStatus"),
            Undefined("_ZN3tsl8str_util8EndsWithESt17basic_string_viewIcSt11char_traitsIcEES4_"),
            Undefined("memcpy", version=2),
            Undefined("PyList_New"),
            Undefined("TF_Optional", weak=True),
            Undefined("__gmon_start__", weak=True),
        ),
        needs=(GLIBC,),
    )
    images = linux({**linux_tensorflow("TF_NewStatus"), SO_PLUGIN: built(plugin)})
    assert images.loaded.keys() == {ENTRY, SO_FRAMEWORK}
    assert images.missing(SO_PLUGIN) == Missing(
        symbols=("_ZN3tsl8str_util8EndsWithESt17basic_string_viewIcSt11char_traitsIcEES4_",)
    )


def test_elf_sees_what_it_links_alone() -> None:
    tensorflow = linux_tensorflow("TF_NewStatus")
    lone = elf(imports=flat("TF_NewStatus"))
    assert linux({**tensorflow, SO_PLUGIN: lone}).missing(SO_PLUGIN).symbols == ("TF_NewStatus",)
    assert not linux({**tensorflow, SO_PLUGIN: lone}, [GLOBAL_FLAGS]).missing(SO_PLUGIN)
    linking = replace(lone, libraries=links("libtensorflow_framework.so.2"))
    assert not linux({**tensorflow, SO_PLUGIN: linking}).missing(SO_PLUGIN)


@pytest.mark.parametrize("origin", ["$ORIGIN", "${ORIGIN}"])
@pytest.mark.parametrize("by_runpath", [True, False])
def test_elf_library_on_the_run_path(origin: str, *, by_runpath: bool) -> None:
    user = elf(libraries=["libown.so"], imports=flat("TF_Own"))
    paths = (f"{origin}/../../libs",)
    user = replace(user, runpaths=paths) if by_runpath else replace(user, rpaths=paths)
    own = {"tensorflow_io/libs/libown.so": elf(exports=["TF_Own"])}
    assert missing(user, own) == Missing()
    assert missing(user) == Missing(libraries=("libown.so",), symbols=("TF_Own",))


def test_elf_rpath_is_ignored_next_to_a_runpath() -> None:
    own = {"tensorflow_io/python/ops/libown.so": elf()}
    user = elf(libraries=["libown.so"], rpaths=["$ORIGIN"])
    assert missing(user, own) == Missing()
    user = replace(user, runpaths=("/opt/lib",))
    assert missing(user, own) == Missing(libraries=("libown.so",))


def test_elf_library_by_the_soname_of_a_loaded_one_alone() -> None:
    user = elf(libraries=["libtensorflow_framework.so.2"])
    assert not linux({**linux_tensorflow(), SO_PLUGIN: user}).missing(SO_PLUGIN)
    apart = {SO_PLUGIN: user, "elsewhere/lib.so": elf(name="libtensorflow_framework.so.2")}
    assert linux(apart).missing(SO_PLUGIN).libraries == ("libtensorflow_framework.so.2",)


def test_elf_name_with_a_slash_is_no_matter_of_run_paths() -> None:
    own = {"tensorflow_io/python/ops/sub/libown.so": elf()}
    assert missing(elf(libraries=["$ORIGIN/sub/libown.so"]), own) == Missing()
    user = elf(libraries=["sub/libown.so"], runpaths=["$ORIGIN"])
    assert missing(user, own).libraries == ("sub/libown.so",)


@pytest.mark.parametrize(
    ("name", "is_of_the_system"),
    [
        ("libc.so.6", True),
        ("libstdc++.so.6", True),
        ("ld-linux-x86-64.so.2", True),
        ("libz.so.1", True),
        ("libcuda.so.1", False),
        ("libavcodec.so.58", False),
        ("libc.so.6.evil", False),
        ("xlibc.so.6", False),
    ],
)
def test_elf_libraries_of_the_system(name: str, *, is_of_the_system: bool) -> None:
    found = missing(elf(libraries=[name]))
    assert found.libraries == (() if is_of_the_system else (name,))


def chain(top: Binary, middle: Binary) -> Images:
    """An extension that links liba, which links libb; both libraries lie in `own.libs`."""
    return linux(
        {
            "own/extension.so": replace(top, libraries=links("liba.so")),
            "own.libs/liba.so": replace(middle, name="liba.so", libraries=links("libb.so")),
            "own.libs/libb.so": elf(name="libb.so"),
        }
    )


TOP = "own/extension.so"


def test_elf_rpath_serves_what_is_loaded_below_it() -> None:
    images = chain(elf(rpaths=["$ORIGIN/../own.libs"]), elf())
    assert images.roots() == (TOP,)
    assert not images.missing(TOP)


@pytest.mark.parametrize(
    ("top", "middle"),
    [
        (elf(runpaths=["$ORIGIN/../own.libs"]), elf()),
        (elf(rpaths=["$ORIGIN/../own.libs"]), elf(runpaths=["/opt/lib"])),
    ],
)
def test_elf_runpath_serves_its_own_binary_alone(top: Binary, middle: Binary) -> None:
    found = chain(top, middle).opened(TOP)
    assert found["own.libs/liba.so"].libraries == ("libb.so",)
    assert not found[TOP]


@pytest.mark.parametrize(
    ("name", "version", "floor", "defined"),
    [
        ("libstdc++.so.6", "GLIBCXX_3.4.22", (2, 28), True),
        ("libstdc++.so.6", "GLIBCXX_3.4.30", (2, 28), False),
        ("libstdc++.so.6", "GLIBCXX_3.4.30", (2, 35), True),
        ("libstdc++.so.6", "GLIBCXX_3.4.99", (2, 40), False),
        ("libstdc++.so.6", "CXXABI_1.3.13", (2, 28), False),
        ("libgcc_s.so.1", "GCC_7.0.0", (2, 17), False),
        ("libz.so.1", "ZLIB_1.2.9", (2, 28), True),
        ("libm.so.6", "GLIBC_2.17", (2, 28), True),
        ("libstdc++.so.6", "ZLIB_1.2.9", (2, 28), False),
        ("libm.so.6", "GLIBCXX_3.4.22", (2, 28), False),
        ("libgcc_s.so.1", "GLIBC_2.17", (2, 28), False),
    ],
)
def test_elf_version_of_a_system_library(name: str, version: str, floor: Version, *, defined: bool) -> None:
    user = replace(elf(libraries=[name]), needed_versions=(NeededVersion(library=name, version=version),))
    found = linux({SO_PLUGIN: user}, floor=floor).missing(SO_PLUGIN)
    assert found.versions == (() if defined else (f"{version} of {name}",))


def test_elf_weak_version_may_be_missing() -> None:
    needed = NeededVersion(library="libz.so.1", version="ZLIB_9", weak=True)
    assert not missing(replace(elf(libraries=["libz.so.1"]), needed_versions=(needed,)))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("puts", True),
        ("memfd_create", True),
        ("closefrom", False),
        ("PyList_New", True),
        ("frobnicate", False),
    ],
)
def test_elf_symbol_without_a_version(name: str, *, found: bool) -> None:
    """`memfd_create` came with glibc 2.27, `closefrom` with 2.34; the floor is 2.28."""
    assert missing(elf(imports=flat(name))).symbols == (() if found else (name,))


def test_elf_symbol_of_a_system_library_without_versions() -> None:
    assert not missing(elf(libraries=["libX11.so.6"], imports=flat("XOpenDisplay")))
    assert missing(elf(imports=flat("XOpenDisplay"))).symbols == ("XOpenDisplay",)
