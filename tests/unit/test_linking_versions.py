"""linking: symbol versions of ELF libraries, as ld.so compares them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from audit_samples import elf

from metalock.audit.linking import Images, Missing
from metalock.audit.systems import System
from metalock.binaries import Binary, Format, Import, Lookup
from metalock.binaries.model import NeededVersion

PLUGIN = "plugin/plugin.so"


def missing(plugin: Binary, *own: Binary) -> Missing:
    binaries = {PLUGIN: plugin} | {f"plugin/{binary.name}": binary for binary in own}
    return Images(binaries, system=System(format=Format.ELF, floor=(2, 17))).missing(PLUGIN)


def user(library: str, version: str, *, weak: bool = False, name: str = "f") -> Binary:
    """Return a binary that needs the version of the library, and a symbol of it."""
    wanted = Import(name=name, lookup=Lookup.FLAT, library=library, version=version)
    needed = NeededVersion(library=library, version=version, weak=weak)
    binary = elf(libraries=[library], rpaths=["$ORIGIN"], imports=[wanted])
    return replace(binary, needed_versions=(needed,))


@pytest.mark.parametrize(
    ("version", "weak", "lacks"), [("V1", False, ()), ("V2", False, ("V2 of a.so",)), ("V2", True, ())]
)
def test_versions_of_a_bundled_library(version: str, weak: bool, lacks: tuple[str, ...]) -> None:  # noqa: FBT001
    library = replace(elf(name="a.so", exports=["f"]), defined_versions=("V0", "V1"))
    assert missing(user("a.so", version, weak=weak), library).versions == lacks


def test_a_library_that_defines_no_version_is_not_asked() -> None:
    assert missing(user("a.so", "V1"), elf(name="a.so", exports=["f"])).versions == ()


def test_a_symbol_of_a_library_of_the_system_is_reported_by_its_version_alone() -> None:
    """Which names each version has is not known, only which versions there are."""
    name = "no_name_that_the_tables_know"
    assert missing(user("libstdc++.so.6", "GLIBCXX_3.4", name=name)) == Missing()
    lacks = ("GLIBCXX_9.9 of libstdc++.so.6",)
    assert missing(user("libstdc++.so.6", "GLIBCXX_9.9", name=name)) == Missing(versions=lacks)


def test_a_symbol_without_a_library_has_to_be_somewhere() -> None:
    lone = Import(name="TF_Gone", lookup=Lookup.FLAT, version="V1")
    assert missing(elf(imports=[lone])) == Missing(symbols=("TF_Gone",))


def test_every_version_is_compared() -> None:
    needed = [
        NeededVersion(library="a.so", version="V8", weak=True),
        NeededVersion(library="gone.so", version="V8"),
        NeededVersion(library="a.so", version="V9"),
        NeededVersion(library="a.so", version="V1"),
    ]
    binary = replace(elf(libraries=["a.so"], rpaths=["$ORIGIN"]), needed_versions=tuple(needed))
    library = replace(elf(name="a.so"), defined_versions=("V1",))
    assert missing(binary, library).versions == ("V9 of a.so",)


def test_a_library_without_a_name_of_its_own_is_known_by_the_name_that_it_was_linked_by() -> None:
    """The second user has no run path that leads to it, and finds it loaded."""
    plugin = elf(libraries=["a.so", "b.so"], rpaths=["$ORIGIN/lib"])
    images = Images(
        {
            PLUGIN: plugin,
            "plugin/lib/a.so": elf(),
            "plugin/lib/b.so": elf(libraries=["a.so"], runpaths=["/opt"]),
        },
        system=System(format=Format.ELF, floor=(2, 17)),
    )
    assert images.missing(PLUGIN) == Missing()
