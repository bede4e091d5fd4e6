"""linking: what dyld and ld.so would find, for small libraries made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from audit_samples import (
    ENTRY,
    FRAMEWORK,
    FRAMEWORK_NAME,
    PLUGIN,
    Names,
    flat,
    links,
    macho,
    named,
    tensorflow_binaries,
)

from metalock.audit.linking import GLOBAL_FLAGS, Images, Missing
from metalock.audit.systems import System
from metalock.binaries import Binary, FileType, Format, Import, LinkKind, Lookup

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
def test_missing_library_is_reported_without_its_symbols(kind: LinkKind) -> None:
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
    neighbours = {"elsewhere/liba.so": macho(name=name)}
    assert missing(plugin, renamed | neighbours) == Missing(libraries=(name,))


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


def test_what_the_entry_itself_exports_is_hidden_from_flat_lookups() -> None:
    """It is opened with RTLD_LOCAL, which for dyld is about that image alone."""
    name = "_TF_GetInputPropertiesList"
    entry = {ENTRY: replace(tensorflow_binaries()[ENTRY], exports=Names(frozenset({name})))}
    install_name = "@rpath/_pywrap_tensorflow_internal.so"
    for libraries in ((), links(install_name)):
        plugin = macho(libraries=libraries, imports=flat(name))
        assert missing(plugin, entry) == Missing(symbols=(name,))
        binaries = {**tensorflow_binaries(), **entry, PLUGIN: plugin}
        assert Images(binaries, [GLOBAL_FLAGS]).missing(PLUGIN) == Missing()
    plugin = macho(libraries=links(install_name), imports=named(install_name, name))
    assert missing(plugin, entry) == Missing(), "a two-level import names it"
    own = replace(entry[ENTRY], imports=flat(name))
    assert not Images({**tensorflow_binaries(), ENTRY: own}).missing(ENTRY), "its own can't be hidden from it"


def test_what_was_not_read_is_reported() -> None:
    assert not Images(tensorflow_binaries()).unread
    assert Images({PLUGIN: macho()}).unread == {ENTRY}
    without = {ENTRY: tensorflow_binaries()[ENTRY]}
    assert Images(without, [ENTRY, FRAMEWORK]).unread == {FRAMEWORK}
    assert not Images(without).unread, "a library that isn't there at all is missing, which is a finding"


def reexporting(*names: str) -> dict[str, Binary]:
    """A facade in the plugin's folder that re-exports libraries next to it, and exports nothing."""
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
    """It may have any symbol, but none of TensorFlow's; what is re-exported next to it is looked at too."""
    more = reexporting(system, "@loader_path/libinner.dylib")
    more["tensorflow-plugins/libinner.dylib"] = macho(exports=[TF])
    assert missing(through_a_facade("_cblas_sgemm"), more) == Missing()
    assert missing(through_a_facade(TF), more) == Missing()
    assert missing(through_a_facade("_TF_Gone"), more) == Missing(symbols=("_TF_Gone",))


def test_reexported_library_that_is_nowhere() -> None:
    more = reexporting("@loader_path/libgone.dylib")
    found = missing(through_a_facade("_inner"), more)
    assert found == Missing(libraries=("@loader_path/libgone.dylib",), symbols=("_inner",))


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
    found = missing(macho(libraries=links(name), imports=None))
    assert found == Missing(libraries=(name,), unjudged=("its imports were not read",))


NEIGHBOUR = "tensorflow-plugins/libodd.dylib"


def odd(*, unread: Sequence[str] = (), foreign: Sequence[str] = ()) -> Missing:
    """Judge a plugin that links a file of its folder which is no binary of this machine."""
    plugin = macho(libraries=links("@loader_path/libodd.dylib"), imports=())
    binaries = {**tensorflow_binaries(), PLUGIN: plugin}
    return Images(binaries, [NEIGHBOUR], unread=unread, foreign=foreign).missing(PLUGIN)


def test_file_that_is_there_and_is_not_a_library() -> None:
    assert odd() == Missing(refused=(f"{NEIGHBOUR}: it is not a library",))


def test_file_that_was_not_read_is_not_judged() -> None:
    found = odd(unread=[NEIGHBOUR])
    assert not found
    assert found.unjudged == (f"{NEIGHBOUR} was not read",)


def test_library_for_another_machine_is_not_found() -> None:
    assert odd(foreign=[NEIGHBOUR]) == Missing(libraries=("@loader_path/libodd.dylib",))


@pytest.mark.parametrize(
    ("kind", "fails"), [(FileType.LIBRARY, False), (FileType.BUNDLE, True), (FileType.EXECUTABLE, True)]
)
def test_only_a_dylib_can_be_linked(kind: FileType, *, fails: bool) -> None:
    """As dyld's `JustInTimeLoader::makeJustInTimeLoaderDisk`, whose option for it is `canBeDylib`."""
    plugin = macho(libraries=links("@loader_path/libodd.dylib"))
    found = missing(plugin, {NEIGHBOUR: replace(macho(), file_type=kind)})
    assert bool(found.refused) is fails


def on_macos(floor: tuple[int, int], plugin: Binary) -> Missing:
    binaries = {**tensorflow_binaries(), PLUGIN: plugin}
    return Images(binaries, system=System(format=Format.MACH_O, floor=floor)).missing(PLUGIN)


def test_swift_is_on_every_mac_since_10_14_4() -> None:
    """Apple, "Xcode 10.2 release notes": apps use the Swift runtime that macOS 10.14.4 and later include."""
    swift = macho(libraries=links("@rpath/libswiftCore.dylib"), rpaths=["@loader_path", "/usr/lib/swift"])
    assert on_macos((12, 3), swift) == Missing()
    assert on_macos((10, 9), swift).unjudged == ("whether the system has /usr/lib/swift/libswiftCore.dylib",)
    without = replace(swift, rpaths=("@loader_path",))
    assert on_macos((12, 3), without).libraries == ("@rpath/libswiftCore.dylib",)


@pytest.mark.parametrize(
    ("name", "floor", "known"),
    [
        ("/usr/lib/libSystem.B.dylib", (10, 15), True),
        ("/usr/lib/libSM.99.dylib", (14, 0), False),
        ("/System/Library/Frameworks/Metal.framework/Versions/A/Metal", (10, 15), True),
        ("/System/Library/Frameworks/MLCompute.framework/Versions/A/MLCompute", (10, 15), False),
        ("/System/Library/Frameworks/MLCompute.framework/Versions/A/MLCompute", (11, 0), True),
        ("/System/Library/PrivateFrameworks/Odd.framework/Odd", (14, 0), False),
    ],
)
def test_system_library_that_no_list_names_is_not_judged(
    name: str, floor: tuple[int, int], *, known: bool
) -> None:
    found = on_macos(floor, macho(libraries=links(name)))
    assert not found
    assert found.unjudged == (() if known else (f"whether the system has {name}",))


@pytest.mark.parametrize("lookup", [Lookup.FLAT, Lookup.COALESCED, Lookup.EXECUTABLE])
def test_ordinary_symbol_that_nothing_has(lookup: Lookup) -> None:
    assert missing(macho(imports=flat("_frobnicate", lookup=lookup))).symbols == ("_frobnicate",)


def test_roots_are_what_nothing_links() -> None:
    own = {"own/liba.dylib": macho(libraries=links("@loader_path/libb.dylib")), "own/libb.dylib": macho()}
    round_about = {
        "round/libc.dylib": macho(libraries=links("@loader_path/libd.dylib")),
        "round/libd.dylib": macho(libraries=links("@loader_path/libc.dylib")),
    }
    images = Images({**tensorflow_binaries(), **own, **round_about})
    assert images.roots() == ("own/liba.dylib", "round/libc.dylib", ENTRY)


def test_library_is_judged_with_what_links_it() -> None:
    """A library may take a symbol from the file that links it; opened alone it would not find it."""
    lower = macho(imports=flat("_upper"))
    upper = macho(libraries=links("@loader_path/lower.dylib"), exports=["_upper"])
    images = Images({**tensorflow_binaries(), "own/lower.dylib": lower, "own/upper.dylib": upper})
    assert "own/lower.dylib" not in images.roots()
    assert not images.missing("own/upper.dylib")
    assert images.missing("own/lower.dylib").symbols == ("_upper",)
