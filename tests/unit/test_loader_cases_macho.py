"""What dyld refuses, as small Mach-O files in wheels: each is read and judged as an audit does.

The rules are those of dyld's source (apple-oss-distributions/dyld): `MachOFile::compatibleSlice` and
`loadableIntoProcess` for architecture and platform, `JustInTimeLoader::makeJustInTimeLoaderDisk` for what
can be linked, `Loader::getLoader` for how a library is found, `Loader::resolveSymbol` for symbols.
One verdict is stricter than dyld: `APIs::dlopen` still takes a program on macOS (`canBeExecutable`), but
nothing imports one, so a program that is named like a library is reported.
No Mac was at hand to compare them with, as `tests/integration/test_loader_cases.py` does for ELF.
"""

from __future__ import annotations

import pytest
from audit_samples import ENTRY, FRAMEWORK, FRAMEWORK_NAME, PLUGIN, facts, judged, locked
from make_samples import FLAT, LOAD, REEXPORT, Exported, Imported, MachO, command
from make_wheels import make_wheel
from test_wheel import facts_of

from metalock.audit.facts import WheelFacts
from metalock.audit.result import Verdict, make_audit

SYSTEM = "/usr/lib/libSystem.B.dylib"
OWN = "@loader_path/libown.dylib"
OWN_PATH = "tensorflow-plugins/libown.dylib"
X86 = (0x0100_0007, 3)
IOS = (command(0x32, b"\2\0\0\0\0\0\x0e\0\0\0\0\0\0\0\0\0"),)


def plugin(*libraries: str, imports: tuple[Imported, ...] = (), rpaths: tuple[str, ...] = ()) -> bytes:
    linked = ((LOAD, SYSTEM), *((LOAD, name) for name in libraries))
    return MachO(name="", libraries=linked, imports=imports, rpaths=rpaths).build()


def own(*exports: str, file_type: int = 6, cpu: tuple[int, int] | None = None) -> bytes:
    made = MachO(name=OWN, file_type=file_type, exports=tuple(Exported(name=one) for one in exports))
    return MachO(**{**made.__dict__, **({"cpu": cpu} if cpu else {})}).build()


def tensorflow(*exports: str, imports: tuple[Imported, ...] = ()) -> dict[str, bytes]:
    framework = MachO(name=FRAMEWORK_NAME, exports=tuple(Exported(name=one) for one in exports))
    entry = MachO(
        name="@rpath/_pywrap_tensorflow_internal.so",
        libraries=((LOAD, SYSTEM), (REEXPORT, FRAMEWORK_NAME)),
        rpaths=("@loader_path/..",),
        imports=imports,
    )
    return {ENTRY: entry.build(), FRAMEWORK: framework.build()}


LINKED = plugin(OWN, imports=(Imported(name="_own", ordinal=2),))
TWICE = ["A202", "A202"]
CASES: dict[str, tuple[dict[str, bytes], list[str]]] = {
    "a text": ({PLUGIN: b"libplugin.1.dylib"}, ["A202"]),
    "an empty file": ({PLUGIN: b""}, ["A202"]),
    "an object file": ({PLUGIN: own("_own", file_type=1)}, ["A202"]),
    "a program": ({PLUGIN: own(file_type=2)}, ["A202"]),
    "a bundle": ({PLUGIN: own(file_type=8)}, []),
    "another architecture": ({PLUGIN: own(cpu=X86)}, ["A201"]),
    "another system": ({PLUGIN: MachO(floors=IOS).build()}, ["A201"]),
    "cut off": ({PLUGIN: LINKED[:-1]}, ["A901"]),
    "linked": ({PLUGIN: LINKED, OWN_PATH: own("_own")}, []),
    "linked text": ({PLUGIN: LINKED, OWN_PATH: b"text"}, ["A202", "A202"]),
    "linked empty file": ({PLUGIN: LINKED, OWN_PATH: b""}, ["A202", "A202"]),
    "linked object file": ({PLUGIN: LINKED, OWN_PATH: own("_own", file_type=1)}, ["A202", "A202"]),
    "linked bundle": ({PLUGIN: LINKED, OWN_PATH: own("_own", file_type=8)}, ["A202"]),
    "linked program": ({PLUGIN: LINKED, OWN_PATH: own("_own", file_type=2)}, ["A202", "A202"]),
    "linked for another architecture": ({PLUGIN: LINKED, OWN_PATH: own("_own", cpu=X86)}, ["A201", "A401"]),
    "linked and cut off": ({PLUGIN: LINKED, OWN_PATH: own("_own")[:-1]}, ["A901", "A901"]),
    "linked and gone": ({PLUGIN: LINKED}, ["A401"]),
    "symbol of another library": ({PLUGIN: LINKED, OWN_PATH: own("_other")}, ["A402"]),
    "flat symbol of nobody": ({PLUGIN: plugin(imports=(Imported(name="_n", ordinal=FLAT),))}, ["A402"]),
    "flat symbol of C": ({PLUGIN: plugin(imports=(Imported(name="_puts", ordinal=FLAT),))}, []),
    "flat symbol of Python": ({PLUGIN: plugin(imports=(Imported(name="_PyList_New", ordinal=FLAT),))}, []),
    "flat weak symbol": ({PLUGIN: plugin(imports=(Imported(name="_no", ordinal=FLAT, weak=True),))}, []),
    "unknown library of macOS": ({PLUGIN: plugin("/usr/lib/libSM.99.dylib")}, ["A901"]),
    "library of Homebrew": ({PLUGIN: plugin("/opt/homebrew/lib/libSM.6.dylib")}, ["A401"]),
    "Swift of macOS": ({PLUGIN: plugin("@rpath/libswiftCore.dylib", rpaths=("/usr/lib/swift",))}, []),
    "Swift without a path": ({PLUGIN: plugin("@rpath/libswiftCore.dylib")}, ["A401"]),
    "run path of the user": (
        {
            PLUGIN: plugin("@rpath/libmiddle.dylib", rpaths=("@loader_path/libs",)),
            "tensorflow-plugins/libs/libmiddle.dylib": plugin("@rpath/libdeep.dylib"),
            "tensorflow-plugins/libs/libdeep.dylib": own(),
        },
        [],
    ),
    "a link of the wheel": ({PLUGIN: LINKED, OWN_PATH: b"libown.1", OWN_PATH + ".1": own("_own")}, TWICE),
    "TensorFlow lacks a symbol": (tensorflow("_a", imports=(Imported(name="_gone", ordinal=2),)), ["A402"]),
    "TensorFlow has its symbol": (tensorflow("_there", imports=(Imported(name="_there", ordinal=2),)), []),
}  # fmt: skip


def wheels(files: dict[str, bytes]) -> list[WheelFacts]:
    """Read the files out of a wheel, next to a TensorFlow if they are not one themselves."""
    read = facts_of(make_wheel(files))
    neighbours = (
        []
        if ENTRY in files
        else [facts("tensorflow", "2.18.1", binaries=dict(facts_of(make_wheel(tensorflow())).binaries))]
    )
    return [*neighbours, read]


@pytest.mark.parametrize("case", CASES)
def test_verdict(case: str) -> None:
    files, expected = CASES[case]
    found = wheels(files)
    lock = locked(*found)
    findings = [one for one in judged(*found, lock=lock) if one.rule.code not in {"A301", "A101"}]
    assert [finding.rule.code for finding in findings] == expected
    verdict = make_audit(lock, wheels=2, binaries=3, findings=findings).verdict
    assert (verdict is Verdict.LOADS) is not bool(expected)
