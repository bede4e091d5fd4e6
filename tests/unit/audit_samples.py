"""Binaries and wheels made of plain values, for the tests of the audit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from samples import cell, sha256

from metalock.audit.case import Case
from metalock.audit.checks import judge
from metalock.audit.facts import WheelFacts
from metalock.binaries import (
    Binary,
    Export,
    Exports,
    FileType,
    Format,
    Import,
    Library,
    LinkKind,
    Lookup,
    Version,
)
from metalock.binaries.view import View
from metalock.findings import Finding
from metalock.lock.model import CondaPackage, Lock, PipPackage, cell_inputs
from metalock.platforms import Platform

ENTRY = "tensorflow/python/_pywrap_tensorflow_internal.so"
FRAMEWORK = "tensorflow/libtensorflow_framework.2.dylib"
PLUGIN = "tensorflow-plugins/libmetal_plugin.dylib"
FRAMEWORK_NAME = "@rpath/libtensorflow_framework.2.dylib"
MAC = "osx-arm64/tf2.18-py3.11"
LINUX = "linux-64/tf2.18-py3.11"


@dataclass(frozen=True, slots=True)
class Names(Exports):
    """Exports over a set of names."""

    names: frozenset[str]

    def find(self, name: str) -> Export | None:
        return Export(name=name) if name in self.names else None

    def __iter__(self) -> Iterator[Export]:
        return (Export(name=name) for name in sorted(self.names))

    def pieces(self) -> Mapping[str, View]:
        return {}


def links(*names: str, kind: LinkKind = LinkKind.NORMAL) -> tuple[Library, ...]:
    return tuple(Library(name=name, kind=kind) for name in names)


def flat(*names: str, weak: bool = False, lookup: Lookup = Lookup.FLAT) -> tuple[Import, ...]:
    return tuple(Import(name=name, lookup=lookup, weak=weak) for name in names)


def named(library: str, *names: str, weak: bool = False) -> tuple[Import, ...]:
    return tuple(Import(name=name, lookup=Lookup.LIBRARY, library=library, weak=weak) for name in names)


def macho(
    *,
    name: str | None = None,
    libraries: Sequence[Library] = (),
    rpaths: Sequence[str] = (),
    imports: Sequence[Import] | None = (),
    exports: Iterable[str] = (),
    floor: Version | None = (11, 0, 0),
) -> Binary:
    return Binary(
        format=Format.MACH_O,
        architecture="arm64",
        file_type=FileType.LIBRARY,
        system="macos",
        floor=floor,
        name=name,
        libraries=tuple(libraries),
        rpaths=tuple(rpaths),
        runpaths=(),
        needed_versions=(),
        defined_versions=(),
        imports=None if imports is None else tuple(imports),
        exports=Names(frozenset(exports)),
    )


def elf(
    *,
    name: str | None = None,
    libraries: Sequence[str] = (),
    rpaths: Sequence[str] = (),
    runpaths: Sequence[str] = (),
    imports: Sequence[Import] | None = (),
    exports: Iterable[str] = (),
    floor: Version | None = (2, 17),
) -> Binary:
    return Binary(
        format=Format.ELF,
        architecture="x86_64",
        file_type=FileType.LIBRARY,
        system="linux",
        floor=floor,
        name=name,
        libraries=links(*libraries),
        rpaths=tuple(rpaths),
        runpaths=tuple(runpaths),
        needed_versions=(),
        defined_versions=(),
        imports=None if imports is None else tuple(imports),
        exports=Names(frozenset(exports)),
    )


def tensorflow_binaries(exports: Iterable[str] = ("_TF_NewStatus",)) -> dict[str, Binary]:
    """The entry, and the framework that it links and that exports the names."""
    return {
        ENTRY: macho(
            name="@rpath/_pywrap_tensorflow_internal.so",
            libraries=links(FRAMEWORK_NAME),
            rpaths=("@loader_path/../",),
        ),
        FRAMEWORK: macho(name=FRAMEWORK_NAME, exports=exports),
    }


def facts(
    name: str,
    version: str = "1.0",
    *,
    binaries: Mapping[str, Binary] | None = None,
    paths: Sequence[str] | None = None,
    requires: Sequence[str] = (),
    requires_python: str | None = None,
    foreign: Mapping[str, tuple[str, ...]] | None = None,
    numpy: Mapping[str, int] | None = None,
    unreadable: Mapping[str, str] | None = None,
    tag: str = "py3-none-any",
    record: str = "0" * 64,
) -> WheelFacts:
    """A wheel; without `paths`, its binaries and a module of its own."""
    own = (f"{name.replace('-', '_')}/__init__.py", *(binaries or {}))
    file = f"{name.replace('-', '_')}-{version}-{tag}.whl"
    return WheelFacts(
        name=name,
        version=version,
        file=file,
        sha256=sha256(file),
        requires=tuple(requires),
        requires_python=requires_python,
        paths=tuple(sorted(own if paths is None else paths)),
        binaries=binaries or {},
        foreign=foreign or {},
        numpy=numpy or {},
        record=record,
        unreadable=unreadable or {},
    )


def tensorflow(*exports: str, version: str = "2.18.1") -> WheelFacts:
    return facts("tensorflow", version, binaries=tensorflow_binaries(exports or ("_TF_NewStatus",)))


def metal(*imports: Import, version: str = "1.2.0", libraries: Sequence[Library] = ()) -> WheelFacts:
    binary = macho(imports=imports or flat("_TF_NewStatus"), libraries=libraries)
    return facts("tensorflow-metal", version, binaries={PLUGIN: binary})


def locked(
    *wheels: WheelFacts,
    at: str = MAC,
    python: str = "3.11.9",
    floor: str | None = None,
    conda: Sequence[CondaPackage] = (),
) -> Lock:
    of = cell(at)
    return Lock(
        platform=Platform(of.platform),
        python=python,
        floor=floor or of.floor,
        inputs=cell_inputs(of),
        conda=tuple(conda),
        pip=tuple(
            PipPackage(name=w.name, version=w.version, file=w.file, sha256=w.sha256, size=1)
            for w in sorted(wheels, key=lambda wheel: wheel.name)
        ),
    )


def judged(
    *wheels: WheelFacts, lock: Lock | None = None, unreadable: Mapping[str, str] | None = None
) -> tuple[Finding, ...]:
    """Every finding of an environment of those wheels."""
    return judge(Case(lock=lock or locked(*wheels), wheels=wheels, unreadable=unreadable or {}))


def codes(*wheels: WheelFacts, lock: Lock | None = None) -> list[str]:
    return [finding.rule.code for finding in judged(*wheels, lock=lock)]
