"""checks: each rule where it holds, and where it doesn't."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from audit_samples import (
    ENTRY,
    FRAMEWORK,
    LINUX,
    MAC,
    PLUGIN,
    codes,
    elf,
    facts,
    flat,
    judged,
    links,
    locked,
    macho,
    metal,
    tensorflow,
    tensorflow_binaries,
)
from samples import conda

from metalock.audit import checks
from metalock.audit.facts import WheelFacts
from metalock.audit.result import Verdict, make_audit
from metalock.audit.rules import RULES, AuditRule
from metalock.binaries import FileType, NeededVersion
from metalock.findings import Finding

DOCUMENT = Path(__file__).parents[2] / "docs" / "audit.md"


def one(*wheels: WheelFacts, at: str = MAC, floor: str | None = None) -> Finding:
    (finding,) = judged(*wheels, lock=locked(*wheels, at=at, floor=floor))
    return finding


def test_clean() -> None:
    assert judged(tensorflow(), metal()) == ()
    assert judged() == ()


@pytest.mark.parametrize("rule", AuditRule)
def test_every_rule_is_explained(rule: AuditRule) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert f"### {rule.code}\n" in text
    assert RULES[rule.code] is rule
    assert rule.page == f"docs/audit.md#{rule.code.lower()}"
    assert rule.title.endswith(".")
    assert rule.fix.endswith(".")


def test_the_document_has_no_other_rules() -> None:
    assert re.findall(r"^### (\w+)$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE) == list(RULES)


def test_a101_tags() -> None:
    fitting = facts("a", tag="cp311-cp311-macosx_11_0_arm64")
    assert codes(fitting) == []
    for tag in (
        "cp311-cp311-macosx_13_0_arm64",
        "cp310-cp310-macosx_11_0_arm64",
        "cp311-cp311-macosx_11_0_x86_64",
    ):
        finding = one(facts("a", "2.0", tag=tag))
        assert (finding.rule, finding.package) == (AuditRule.TAGS, "a 2.0")
        assert finding.detail == f"a-2.0-{tag}.whl is not for Python 3.11.9 on osx-arm64"


def test_a201_architecture() -> None:
    finding = one(facts("a", foreign={"a/x.so": ("x86_64", "i386")}))
    assert (finding.rule, finding.where) == (AuditRule.ARCHITECTURE, "a/x.so")
    assert finding.detail == "is for x86_64, i386, not for arm64"


@pytest.mark.parametrize(
    ("at", "floor", "needed", "detail"),
    [
        (MAC, "12.0", (12, 0, 0), None),
        (MAC, "12.3", (12, 2, 1), None),
        (MAC, "12.0", (12, 0, 1), "needs macOS 12.0.1, and the floor is 12.0; 12.1 would do"),
        (MAC, "12.0", (12, 3, 0), "needs macOS 12.3, and the floor is 12.0; 12.3 would do"),
        (MAC, "12.0", (14,), "needs macOS 14.0, and the floor is 12.0; 14.0 would do"),
        (MAC, "10.15", (10, 15, 4), "needs macOS 10.15.4, and the floor is 10.15; 11.0 would do"),
        (LINUX, "2.17", (2, 2, 5), None),
        (LINUX, "2.17", (2, 17), None),
        (LINUX, "2.17", (2, 29), "needs glibc 2.29, and the floor is 2.17; 2.31 would do"),
        (LINUX, "2.28", (2, 99), "needs glibc 2.99, and the floor is 2.28; 2.99 would do"),
        (MAC, "12.0", None, None),
    ],
)
def test_a301_floor(at: str, floor: str, needed: tuple[int, ...] | None, detail: str | None) -> None:
    make = macho if at == MAC else elf
    wheel = facts("a", binaries={"a/x.so": make(floor=needed)})
    found = judged(wheel, lock=locked(wheel, at=at, floor=floor))
    assert [finding.detail for finding in found if finding.rule is AuditRule.FLOOR] == (
        [detail] if detail else []
    )


def test_a301_names_the_file_that_needs_most() -> None:
    floors = {"a/low.so": (11, 0), "a/mid.so": (12, 3), "a/top.so": (13, 0), "a/also.so": (13, 0)}
    finding = one(facts("a", binaries={path: macho(floor=floor) for path, floor in floors.items()}))
    assert (finding.rule, finding.where) == (AuditRule.FLOOR, "a/also.so")
    assert finding.detail == "needs macOS 13.0, and the floor is 12.0 (files above it: 3); 13.0 would do"


def test_a401_library() -> None:
    gone = ("@rpath/liba.dylib", "@rpath/libb.dylib")
    finding = one(facts("a", binaries={"a/x.so": macho(libraries=links(*reversed(gone)))}))
    assert (finding.rule, finding.where, finding.names) == (AuditRule.LIBRARY, "a/x.so", gone)


def test_a402_symbol() -> None:
    finding = one(tensorflow(), metal(*flat("_TF_NewStatus", "_TF_Gone")))
    assert (finding.rule, finding.package) == (AuditRule.SYMBOL, "tensorflow-metal 1.2.0")
    assert (finding.where, finding.names) == (PLUGIN, ("_TF_Gone",))


def test_a402_is_about_all_wheels_and_all_names() -> None:
    other = facts("jax", binaries={"jax/x.so": macho(imports=flat("_frobnicate"))})
    finding = one(tensorflow(), other)
    assert (finding.rule, finding.package, finding.names) == (AuditRule.SYMBOL, "jax 1.0", ("_frobnicate",))


def test_a402_tensorflow_lacks_a_symbol_itself() -> None:
    binaries = tensorflow_binaries(("_TF_NewStatus",))
    entry = replace(binaries[ENTRY], imports=flat("_TF_Gone"))
    finding = one(facts("tensorflow", "2.18.1", binaries={**binaries, ENTRY: entry}))
    assert (finding.rule, finding.where, finding.names) == (AuditRule.SYMBOL, ENTRY, ("_TF_Gone",))


@pytest.mark.parametrize("name", ["a/x.so", "a/x.cpython-311-darwin.so", "a/libx.1.dylib", "a/libx.so.1.2"])
def test_a202_file_that_is_named_like_a_library(name: str) -> None:
    finding = one(facts("a", paths=[name]))
    assert (finding.rule, finding.where) == (AuditRule.NOT_A_LIBRARY, name)
    assert codes(facts("a", paths=["a/x.py", "a/so", "a/x.so.txt"])) == []


def test_a202_program_in_the_place_of_a_library() -> None:
    program = replace(macho(), file_type=FileType.EXECUTABLE)
    assert codes(facts("a", binaries={"a/x.so": program})) == ["A202"]
    assert codes(facts("a", binaries={"a/bin/x": program})) == []


def test_a202_linked_text() -> None:
    user = macho(libraries=links("@loader_path/data"))
    finding = one(facts("a", binaries={"a/x.so": user}, paths=["a/x.so", "a/data"]))
    assert (finding.rule, finding.names) == (AuditRule.NOT_A_LIBRARY, ("a/data: it is not a library",))


def test_a404_version() -> None:
    needed = NeededVersion(library="libstdc++.so.6", version="GLIBCXX_3.4.99")
    user = replace(elf(libraries=["libstdc++.so.6"]), needed_versions=(needed,))
    finding = one(facts("a", binaries={"a/x.so": user}), at=LINUX)
    assert (finding.rule, finding.names) == (AuditRule.VERSION, ("GLIBCXX_3.4.99 of libstdc++.so.6",))


def test_a901_system_library_that_no_list_names() -> None:
    wheel = facts("a", binaries={"a/x.so": macho(libraries=links("/usr/lib/libSM.99.dylib"))})
    finding = one(wheel)
    assert (finding.rule, finding.names) == (
        AuditRule.UNREADABLE,
        ("whether the system has /usr/lib/libSM.99.dylib",),
    )
    assert verdict(wheel) is Verdict.UNREADABLE


def test_check_that_finds_what_it_is_not_registered_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "CHECKS", {checks.check_tags: frozenset({AuditRule.FLOOR})})
    wheel = facts("a", tag="cp310-cp310-macosx_11_0_arm64")
    with pytest.raises(LookupError, match="check_tags is not registered for"):
        judged(wheel)


def test_a403_optional_parts_are_a_warning() -> None:
    path = "tensorflow_io/python/ops/libtensorflow_io_ffmpeg_4.2.so"
    part = macho(libraries=links("@rpath/libavcodec.dylib"), imports=flat("_TF_Gone"))
    wheel = facts("tensorflow-io", binaries={path: part})
    finding = one(tensorflow(), wheel)
    assert (finding.rule, finding.names) == (AuditRule.OPTIONAL, ("@rpath/libavcodec.dylib", "_TF_Gone"))
    assert verdict(tensorflow(), wheel) is Verdict.LOADS
    assert codes(tensorflow(), facts("tensorflow-io", binaries={path: macho()})) == []
    required = facts("tensorflow-io", binaries={"tensorflow_io/python/ops/libtensorflow_io.so": part})
    assert codes(tensorflow(), required) == ["A401", "A402"]


def test_a403_optional_part_that_a_required_one_links_is_required() -> None:
    folder = "tensorflow_io/python/ops"
    part = macho(imports=flat("_TF_Gone"))
    user = macho(libraries=links("@loader_path/libtensorflow_io_golang.so"))
    binaries = {f"{folder}/libtensorflow_io_golang.so": part, f"{folder}/libtensorflow_io.so": user}
    assert codes(tensorflow(), facts("tensorflow-io", binaries=binaries)) == ["A402"]


STUB_PATHS = ("tensorflow-2.14.0.dist-info/METADATA", ".data/scripts/saved_model_cli")


def test_a501_stub() -> None:
    stub = facts("tensorflow", "2.14.0", paths=STUB_PATHS)
    finding = one(stub)
    assert (finding.rule, finding.package) == (AuditRule.STUB, "tensorflow 2.14.0")
    assert codes(facts("tensorflow-macos", "2.14.0", paths=STUB_PATHS[2:]), stub) == ["A501", "A501"]
    assert codes(facts("elsewhere", paths=STUB_PATHS)) == []
    assert codes(tensorflow(), facts("tensorflow-metal", paths=STUB_PATHS)) == ["A501"]


def test_a501_stub_next_to_the_wheel_that_holds_tensorflow() -> None:
    """It loads; where the other one was not read, that is the finding."""
    stub = facts("tensorflow", "2.14.0", paths=STUB_PATHS, requires=["tensorflow-macos==2.14.0"])
    real = facts("tensorflow-macos", "2.14.0", binaries=tensorflow_binaries())
    assert codes(stub, real, metal()) == []
    found = judged(stub, lock=locked(stub, real), unreadable={real.file: "cut off"})
    assert [finding.rule.code for finding in found] == ["A901"]


def test_a502_requires_itself() -> None:
    finding = one(facts("a", requires=["A==1.0"]))
    assert (finding.rule, finding.detail) == (AuditRule.SELF, "requires A==1.0, itself")
    assert codes(facts("a", requires=["a[all]; extra == 'everything'", "a[all]"])) == []
    assert codes(facts("a", requires=['a==1.0; sys_platform == "linux"'])) == []


def test_a503_overlap() -> None:
    a, b = (facts(name, paths=["x/a.py", "x/b.py", f"{name}/c.py"]) for name in "ab")
    finding = one(a, b)
    assert (finding.rule, finding.package, finding.where) == (AuditRule.OVERLAP, "a 1.0", "x/a.py")
    assert finding.detail == "b 1.0 writes x/a.py and 1 more files too"
    assert one(facts("a", paths=["x"]), facts("b", paths=["x"])).detail == "b 1.0 writes x too"


@pytest.mark.parametrize(
    ("requirement", "problem"),
    [
        ("b", None),
        ("b>=1.5", None),
        ("B>=1.5", None),  # normalized
        ("b>=2", "requires b>=2, and b 1.5 is locked"),
        ("b==1.*", None),
        ("b[extra]>=1", None),
        ("c", "requires c, and the lock has no c"),
        ("c; extra == 'more'", None),
        ('c; sys_platform == "linux"', None),
        ('c; platform_machine == "x86_64"', None),
        ('c; platform_system == "Darwin" and platform_machine == "arm64"', "and the lock has no c"),
        ('c; platform_machine != "arm64" or platform_system != "Darwin"', None),
        ('c; python_version < "3.11"', None),
        ('c; python_version >= "3.10"', "and the lock has no c"),
        ('c; python_full_version >= "3.11.9"', "and the lock has no c"),
        ('c; platform_release >= "20"', None),  # not known, so it can't be fulfilled
        ("pre>=2.0", None),  # a pre-release that is locked counts
        ("pre<2.0", "requires pre<2.0, and pre 2.1rc1 is locked"),
        ("b @ https://example.invalid/b.whl", None),
        ("setuptools>=70", None),  # conda's
        ("setuptools<70", "requires setuptools<70, and setuptools 75.1 is locked"),
        ("pip", None),
        ("zlib", "requires zlib, and the lock has no zlib"),  # conda's, but nothing that pip sees
        ("odd", None),
        ("odd>=1", "requires odd>=1, and odd jan_2023 is locked"),
    ],
)
def test_a504_requirements(requirement: str, problem: str | None) -> None:
    wheels = facts("a", requires=[requirement]), facts("b", "1.5"), facts("pre", "2.1rc1")
    conda_packages = (
        conda("odd", "jan_2023", depends=["python"]),
        conda("pip", "24.0"),
        conda("setuptools", "75.1", depends=["python >=3.11"]),
        conda("zlib", "1.3"),
    )
    found = judged(*wheels, lock=locked(*wheels, conda=conda_packages))
    assert [finding.rule for finding in found] == ([AuditRule.REQUIREMENT] if problem else [])
    assert all(str(problem) in finding.detail for finding in found)


def test_a504_pip_comes_after_conda() -> None:
    wheels = facts("a", requires=["b>=2"]), facts("b", "2.0")
    assert judged(*wheels, lock=locked(*wheels, conda=[conda("b", "1.0", depends=["python"])])) == ()


def test_a504_on_linux() -> None:
    wheel = facts("a", requires=['c; platform_machine == "x86_64" and sys_platform == "linux"'])
    assert one(wheel, at=LINUX).rule is AuditRule.REQUIREMENT


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        (None, None),
        ("", None),
        (">=3.9", None),
        (">=3.9,<3.12", None),
        ("==3.11.9", None),
        ("<3.11", "requires"),
    ],
)
def test_a504_python(wanted: str | None, problem: str | None) -> None:
    found = judged(facts("a", requires_python=wanted))
    assert [finding.rule for finding in found] == ([AuditRule.REQUIREMENT] if problem else [])
    assert all(finding.detail == "requires Python <3.11, and 3.11.9 is locked" for finding in found)


@pytest.mark.parametrize(
    "wheel",
    [
        facts("a", requires=["b (>dev)"]),
        facts("a", requires=["???"]),
        facts("a", requires=['b; python_version ~= "3.x"']),
        facts("a", requires=['b; os_name ~= "posix"']),
        facts("a", requires=['b; "x" in extras']),
        facts("a", requires_python=">=three"),
    ],
    ids=lambda wheel: str(wheel.requires or wheel.requires_python),
)
def test_metadata_that_makes_no_sense(wheel: WheelFacts) -> None:
    assert [finding.rule for finding in judged(wheel)] == [AuditRule.UNREADABLE]


def test_a505_numpy() -> None:
    old = facts("old", numpy={"old/b.so": 1, "old/a.so": 1, "old/c.so": 2})
    assert codes(old) == []
    assert codes(old, facts("numpy", "1.26.4")) == []
    finding = one(old, facts("numpy", "2.0.0"))
    assert (finding.rule, finding.where) == (AuditRule.NUMPY, "old/a.so")
    assert finding.detail == "compiled for NumPy 1 and 1 more extensions, and numpy 2.0.0 is locked"
    assert codes(facts("new", numpy={"new/a.so": 2}), facts("numpy", "2.1.0")) == []
    assert codes(facts("new", numpy={"new/a.so": 2}), facts("numpy", "1.26.4")) == []


def test_a505_numpy_from_conda() -> None:
    old = facts("old", numpy={"old/a.so": 1})
    lock = locked(old, conda=[conda("numpy", "2.1.0", depends=["python"])])
    assert codes(old, lock=lock) == ["A505"]


def test_a901_wheel_and_file() -> None:
    found = judged(
        facts("a", unreadable={"a/x.so": "cut off"}), unreadable={"b-1.0-py3-none-any.whl": "no such"}
    )
    assert [(f.rule.code, f.package, f.where, f.detail) for f in found] == [
        ("A901", "a 1.0", "a/x.so", "cut off"),
        ("A901", "b-1.0-py3-none-any.whl", "", "no such"),
    ]


def test_a901_imports_of_a_plugin_that_were_not_read() -> None:
    blind = facts("tensorflow-metal", binaries={PLUGIN: macho(imports=None)})
    assert codes(tensorflow(), blind) == ["A901"]
    assert codes(facts("other", binaries={"other/x.so": macho(imports=None)})) == ["A901"]


@pytest.mark.parametrize(
    "neighbours",
    [
        [],
        [facts("tensorflow")],
        [facts("tensorflow", binaries={FRAMEWORK: tensorflow_binaries()[FRAMEWORK]})],
    ],
    ids=["no TensorFlow", "nothing in it", "no entry"],
)
def test_a901_plugin_that_can_be_compared_with_nothing(neighbours: list[WheelFacts]) -> None:
    """Also one that asks for nothing: it is neither clean nor failing."""
    for plugin in (metal(), facts("tensorflow-metal", binaries={PLUGIN: macho()})):
        finding = one(*neighbours, plugin)
        assert (finding.rule, finding.package) == (AuditRule.UNREADABLE, f"tensorflow-metal {plugin.version}")
        assert finding.detail.endswith("was not read")


def test_a901_plugin_next_to_an_unread_part_of_tensorflow() -> None:
    entry = {ENTRY: tensorflow_binaries()[ENTRY]}
    partly = facts("tensorflow", binaries=entry, paths=[ENTRY, FRAMEWORK], unreadable={FRAMEWORK: "cut off"})
    found = [(f.rule.code, f.package) for f in judged(partly, metal())]
    assert found == [
        ("A901", "tensorflow 1.0"),
        ("A901", "tensorflow 1.0"),
        ("A901", "tensorflow-metal 1.2.0"),
    ]


# What it comes to.


def verdict(*wheels: WheelFacts, unreadable: bool = False) -> Verdict:
    lock = locked(*wheels)
    found = judged(*wheels, unreadable={"b.whl": "cut off"} if unreadable else {})
    return make_audit(lock, wheels=len(wheels), binaries=0, findings=found).verdict


def test_verdicts() -> None:
    failing = facts("a", requires=["nosuch"])
    assert verdict(tensorflow(), metal()) is Verdict.LOADS
    assert verdict(tensorflow(), unreadable=True) is Verdict.UNREADABLE
    assert verdict(failing) is Verdict.FAILS
    assert verdict(failing, unreadable=True) is Verdict.FAILS


@pytest.mark.parametrize("rule", AuditRule)
def test_warnings_leave_the_verdict(rule: AuditRule) -> None:
    finding = Finding(rule=rule, package="a 1.0", detail="so")
    audit = make_audit(locked(), wheels=1, binaries=1, findings=[finding])
    expected = {
        AuditRule.KNOWN: Verdict.LOADS,
        AuditRule.OPTIONAL: Verdict.LOADS,
        AuditRule.UNREADABLE: Verdict.UNREADABLE,
    }
    assert audit.verdict is expected.get(rule, Verdict.FAILS)


def test_findings_are_in_order() -> None:
    found = judged(facts("b", requires=["x"], foreign={"z": ("x86_64",)}), facts("a", requires=["y", "x"]))
    assert [(f.rule.code, f.package, f.detail[:10]) for f in found] == [
        ("A201", "b 1.0", "is for x86"),
        ("A504", "a 1.0", "requires x"),
        ("A504", "a 1.0", "requires y"),
        ("A504", "b 1.0", "requires x"),
    ]
