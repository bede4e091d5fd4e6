"""linking: what dyld and ld.so would find, for small libraries made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from audit_samples import (
    ENTRY,
    FRAMEWORK,
    FRAMEWORK_NAME,
    PLUGIN,
    elf,
    flat,
    links,
    macho,
    named,
    tensorflow_binaries,
)
from make_elf import Elf, Needed, Symbol, Undefined
from make_samples import FLAT, LOAD, REEXPORT, Exported, Imported, MachO

from metalock.audit.linking import Images, Missing
from metalock.binaries import Binary, Import, LinkKind, Lookup, read

TF = "_TF_NewStatus"
CPP = "__ZN10tensorflow6StatusC1Ev"
SYSTEM = "/usr/lib/libSystem.B.dylib"


def missing(plugin: Binary, more: Mapping[str, Binary] | None = None, at: str = PLUGIN) -> Missing:
    return Images({**tensorflow_binaries((TF, CPP)), at: plugin, **(more or {})}).missing(at)


def test_nothing_missing_is_false() -> None:
    assert not Missing()
    assert Missing(libraries=("a",))
    assert Missing(symbols=("a",))
    assert missing(macho()) == Missing()


def test_two_level_symbol_is_found_in_its_library() -> None:
    plugin = macho(libraries=links(FRAMEWORK_NAME), imports=named(FRAMEWORK_NAME, TF, CPP))
    assert missing(plugin) == Missing()


def test_two_level_symbol_counts_in_no_other_library() -> None:
    entry = "@rpath/_pywrap_tensorflow_internal.so"
    plugin = macho(libraries=links(entry), imports=named(entry, TF))
    assert missing(plugin) == Missing(symbols=(TF,))
    assert missing(replace(plugin, imports=flat(TF))) == Missing()


def test_two_level_symbol_counts_by_any_name() -> None:
    plugin = macho(libraries=links(FRAMEWORK_NAME), imports=named(FRAMEWORK_NAME, "_ordinary"))
    assert missing(plugin) == Missing(symbols=("_ordinary",))


def test_flat_symbol() -> None:
    assert missing(macho(imports=flat(TF))) == Missing()
    assert missing(macho(imports=flat("_TF_Gone", TF))) == Missing(symbols=("_TF_Gone",))


@pytest.mark.parametrize("lookup", [Lookup.FLAT, Lookup.COALESCED])
def test_symbol_that_the_plugin_has_itself(lookup: Lookup) -> None:
    name = "__ZZN4absl14container4seedEvE7counter"
    assert missing(macho(imports=flat(name, lookup=lookup))).symbols == (name,)
    assert missing(macho(imports=flat(name, lookup=lookup), exports=[name])) == Missing()


def test_symbol_of_the_plugins_own_library() -> None:
    name = "@loader_path/libown.dylib"
    plugin = macho(libraries=links(name), imports=flat(CPP.replace("Status", "Buffer")))
    own = macho(name="@rpath/libown.dylib", exports=[CPP.replace("Status", "Buffer")])
    assert missing(plugin, {"tensorflow-plugins/libown.dylib": own}) == Missing()


def test_symbols_are_named_once_and_sorted() -> None:
    wanted = (*flat("_TF_B", "_TF_A"), Import(name="_TF_B", lookup=Lookup.COALESCED))
    assert missing(macho(imports=wanted)).symbols == ("_TF_A", "_TF_B")


def test_weak_symbol_may_be_missing() -> None:
    assert missing(macho(imports=flat("_TF_Gone", weak=True))) == Missing()
    plugin = macho(libraries=links(FRAMEWORK_NAME), imports=named(FRAMEWORK_NAME, "_TF_Gone", weak=True))
    assert missing(plugin) == Missing()


def test_weak_library_may_be_missing() -> None:
    name = "@rpath/libmaybe.dylib"
    plugin = macho(libraries=links(name, kind=LinkKind.WEAK), imports=named(name, "_maybe"))
    assert missing(plugin) == Missing()


@pytest.mark.parametrize("kind", [LinkKind.NORMAL, LinkKind.REEXPORT, LinkKind.UPWARD, LinkKind.LAZY])
def test_missing_library_is_told_without_its_symbols(kind: LinkKind) -> None:
    name = "@rpath/libgone.dylib"
    plugin = macho(libraries=links(name, kind=kind), imports=named(name, "_TF_A", "_TF_B"))
    assert missing(plugin) == Missing(libraries=(name,))


@pytest.mark.parametrize(
    ("name", "rpaths", "at"),
    [
        ("@rpath/libfound.dylib", ("@loader_path/../lib",), "lib/libfound.dylib"),
        ("@rpath/libfound.dylib", ("/opt/lib", "@loader_path"), "tensorflow-plugins/libfound.dylib"),
        ("@rpath/sub/libfound.dylib", ("@loader_path/",), "tensorflow-plugins/sub/libfound.dylib"),
        ("@loader_path/libfound.dylib", (), "tensorflow-plugins/libfound.dylib"),
        ("@loader_path/../a/./libfound.dylib", (), "a/libfound.dylib"),
    ],
)
def test_library_is_found_by_its_path(name: str, rpaths: tuple[str, ...], at: str) -> None:
    plugin = macho(libraries=links(name), rpaths=rpaths, imports=named(name, "_found"))
    assert missing(plugin, {at: macho(name="other", exports=["_found"])}) == Missing()
    assert missing(plugin, {at: macho(name="other")}) == Missing(symbols=("_found",))
    assert missing(plugin) == Missing(libraries=(name,))


@pytest.mark.parametrize(
    "name",
    [
        "@rpath/libfound.dylib",  # no run path leads there
        "@executable_path/libfound.dylib",
        "/opt/homebrew/lib/libfound.dylib",
        "libfound.dylib",
        "@loader_path/../../libfound.dylib",  # outside of site-packages
    ],
)
def test_library_that_no_path_leads_to(name: str) -> None:
    plugin = macho(libraries=links(name), rpaths=("/usr/local/lib", "lib"))
    assert missing(plugin, {"libfound.dylib": macho(), "lib/libfound.dylib": macho()}).libraries == (name,)


def test_library_is_found_by_the_install_name_of_a_loaded_one_alone() -> None:
    name = "@rpath/_pywrap_tensorflow_internal.so"
    plugin = macho(libraries=links(name), rpaths=("@loader_path/../_solib_darwin_arm64",))
    assert missing(plugin) == Missing()
    renamed = {ENTRY: replace(tensorflow_binaries()[ENTRY], name="@rpath/_pywrap_tensorflow_common.so")}
    assert missing(plugin, renamed) == Missing(libraries=(name,))
    beside = {"elsewhere/liba.so": macho(name=name)}
    assert missing(plugin, renamed | beside) == Missing(libraries=(name,))


def test_only_what_the_entry_links_is_loaded() -> None:
    cc = macho(name="@rpath/libtensorflow_cc.2.dylib", exports=["_TF_Lone"])
    more = {"tensorflow/libtensorflow_cc.2.dylib": cc}
    assert missing(macho(imports=flat("_TF_Lone")), more) == Missing(symbols=("_TF_Lone",))
    linked = replace(
        tensorflow_binaries()[FRAMEWORK],
        libraries=links("@rpath/libtensorflow_cc.2.dylib"),
        rpaths=("@loader_path",),
    )
    assert missing(macho(imports=flat("_TF_Lone")), {**more, FRAMEWORK: linked}) == Missing()


def test_loaded_libraries_in_a_circle() -> None:
    circle = replace(tensorflow_binaries()[FRAMEWORK], libraries=links("@loader_path/libself.dylib"))
    back = macho(libraries=links("@loader_path/libtensorflow_framework.2.dylib"), exports=["_TF_Round"])
    more = {FRAMEWORK: circle, "tensorflow/libself.dylib": back}
    assert missing(macho(imports=flat("_TF_Round")), more) == Missing()


def test_what_was_not_read_is_told() -> None:
    assert not Images(tensorflow_binaries()).unread
    assert Images({PLUGIN: macho()}).unread == {ENTRY}
    without = {ENTRY: tensorflow_binaries()[ENTRY]}
    assert Images(without, [ENTRY, FRAMEWORK]).unread == {FRAMEWORK}
    assert not Images(without).unread, "a library that isn't there at all is missing, which is a finding"


def reexporting(*names: str) -> dict[str, Binary]:
    """A facade in the plugin's folder that re-exports libraries beside it, and exports nothing."""
    facade = macho(libraries=links(*names, kind=LinkKind.REEXPORT))
    return {"tensorflow-plugins/libfacade.dylib": facade}


def through_a_facade(name: str) -> Binary:
    return macho(
        libraries=links("@loader_path/libfacade.dylib"), imports=named("@loader_path/libfacade.dylib", name)
    )


def test_reexported_library_lends_its_symbols() -> None:
    more = reexporting("@loader_path/libinner.dylib")
    inner = {"tensorflow-plugins/libinner.dylib": macho(exports=["_inner"])}
    assert missing(through_a_facade("_inner"), more | inner) == Missing()
    assert missing(through_a_facade("_outer"), more | inner) == Missing(symbols=("_outer",))
    linked_only = {
        "tensorflow-plugins/libfacade.dylib": macho(libraries=links("@loader_path/libinner.dylib"))
    }
    assert missing(through_a_facade("_inner"), linked_only | inner) == Missing(symbols=("_inner",))


def test_reexports_go_on_and_may_go_round() -> None:
    circle = reexporting("@loader_path/libinner.dylib")
    middle = macho(
        libraries=links("@loader_path/libfacade.dylib", "@loader_path/libdeep.dylib", kind=LinkKind.REEXPORT)
    )
    circle |= {
        "tensorflow-plugins/libinner.dylib": middle,
        "tensorflow-plugins/libdeep.dylib": macho(exports=["_deep"]),
    }
    assert missing(through_a_facade("_deep"), circle) == Missing()
    assert missing(through_a_facade("_TF_Gone"), circle) == Missing(symbols=("_TF_Gone",))


@pytest.mark.parametrize("system", [SYSTEM, "/System/Library/Frameworks/Accelerate.framework/Accelerate"])
def test_reexported_system_library(system: str) -> None:
    """It may have any symbol, but none of TensorFlow's; what is re-exported beside it is looked at too."""
    more = reexporting(system, "@loader_path/libinner.dylib")
    more["tensorflow-plugins/libinner.dylib"] = macho(exports=[TF])
    assert missing(through_a_facade("_cblas_sgemm"), more) == Missing()
    assert missing(through_a_facade(TF), more) == Missing()
    assert missing(through_a_facade("_TF_Gone"), more) == Missing(symbols=("_TF_Gone",))


def test_reexported_library_that_is_nowhere() -> None:
    more = reexporting("@loader_path/libgone.dylib")
    assert missing(through_a_facade("_inner"), more) == Missing(symbols=("_inner",))


@pytest.mark.parametrize(
    "name", [SYSTEM, "/usr/lib/libc++.1.dylib", "/System/Library/Frameworks/Metal.framework/Versions/A/Metal"]
)
def test_system_libraries_have_all_that_is_asked_of_them(name: str) -> None:
    assert missing(macho(libraries=links(name), imports=named(name, "_any", "__Znwm"))) == Missing()


@pytest.mark.parametrize("lookup", [Lookup.FLAT, Lookup.COALESCED, Lookup.EXECUTABLE])
def test_symbols_that_are_not_tensorflows(lookup: Lookup) -> None:
    names = ("_malloc", "_PyList_New", "__Znwm", "__ZdlPv", "__ZTISt12out_of_range", "_OBJC_CLASS_$_NSObject")
    assert missing(macho(imports=flat(*names, lookup=lookup))) == Missing()


def test_symbol_of_its_own_is_looked_for_there_alone() -> None:
    wanted = flat(TF, lookup=Lookup.SELF)
    assert missing(macho(imports=wanted, exports=[TF])) == Missing()
    assert missing(macho(imports=wanted)) == Missing(symbols=(TF,))


def test_imports_that_were_not_read() -> None:
    name = "@rpath/libgone.dylib"
    assert missing(macho(libraries=links(name), imports=None)) == Missing(libraries=(name,))


def test_file_that_is_there_but_was_not_read() -> None:
    """It is found; that it could not be read is another finding."""
    name = "@loader_path/libodd.dylib"
    plugin = macho(libraries=links(name), imports=named(name, "_TF_A"))
    binaries = {**tensorflow_binaries(), PLUGIN: plugin}
    assert Images(binaries, ["tensorflow-plugins/libodd.dylib"]).missing(PLUGIN) == Missing()


# From here on, the same with files as our own readers read them.


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
    images = Images({**linux_tensorflow("TF_NewStatus"), SO_PLUGIN: built(plugin)})
    assert images.loaded.keys() == {ENTRY, SO_FRAMEWORK}
    assert images.missing(SO_PLUGIN) == Missing(
        symbols=("_ZN3tsl8str_util8EndsWithESt17basic_string_viewIcSt11char_traitsIcEES4_",)
    )


@pytest.mark.parametrize("origin", ["$ORIGIN", "${ORIGIN}"])
@pytest.mark.parametrize("by_runpath", [True, False])
def test_elf_library_on_the_run_path(origin: str, *, by_runpath: bool) -> None:
    user = elf(libraries=["libown.so"], imports=flat("TF_Own"))
    paths = (f"{origin}/../../libs",)
    user = replace(user, runpaths=paths) if by_runpath else replace(user, rpaths=paths)
    own = {"tensorflow_io/libs/libown.so": elf(exports=["TF_Own"])}
    assert missing(user, own, at=SO_PLUGIN) == Missing()
    assert missing(user, at=SO_PLUGIN) == Missing(libraries=("libown.so",), symbols=("TF_Own",))


def test_elf_rpath_is_ignored_beside_a_runpath() -> None:
    own = {"tensorflow_io/python/ops/libown.so": elf()}
    user = elf(libraries=["libown.so"], rpaths=["$ORIGIN"])
    assert missing(user, own, at=SO_PLUGIN) == Missing()
    user = replace(user, runpaths=("/opt/lib",))
    assert missing(user, own, at=SO_PLUGIN) == Missing(libraries=("libown.so",))


def test_elf_library_by_the_soname_of_a_loaded_one_alone() -> None:
    user = elf(libraries=["libtensorflow_framework.so.2"])
    assert not Images({**linux_tensorflow(), SO_PLUGIN: user}).missing(SO_PLUGIN)
    apart = {SO_PLUGIN: user, "elsewhere/lib.so": elf(name="libtensorflow_framework.so.2")}
    assert Images(apart).missing(SO_PLUGIN).libraries == ("libtensorflow_framework.so.2",)


def test_elf_name_with_a_slash_is_no_matter_of_run_paths() -> None:
    own = {"tensorflow_io/python/ops/sub/libown.so": elf()}
    assert missing(elf(libraries=["$ORIGIN/sub/libown.so"]), own, at=SO_PLUGIN) == Missing()
    user = elf(libraries=["sub/libown.so"], runpaths=["$ORIGIN"])
    assert missing(user, own, at=SO_PLUGIN).libraries == ("sub/libown.so",)


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
    found = missing(elf(libraries=[name]), at=SO_PLUGIN)
    assert found.libraries == (() if is_of_the_system else (name,))
