"""audit: small decisions of the rules that other tests do not reach."""

from __future__ import annotations

import io
import struct
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import pytest
from audit_samples import codes, facts, judged, locked, macho, metal, tensorflow
from samples import cell

from metalock.audit.archive import Archive
from metalock.audit.facts import dump, load
from metalock.audit.floors import admitting
from metalock.audit.grid import GridEntry, GridVerdict, _Either, _Paths
from metalock.audit.gridtext import SHOWN, to_page
from metalock.audit.result import MEANING, make_audit
from metalock.audit.rules import AuditRule
from metalock.audit.run import Audited
from metalock.audit.text import counts_line
from metalock.audit.wheel import _NumpyWatch
from metalock.binaries import InvalidBinary, Version
from metalock.findings import Finding
from metalock.platforms import Platform

STUB_PATHS = ("tensorflow_metal-1.0.dist-info/METADATA",)


def test_a_plugin_without_binaries_is_a_stub_whatever_was_read_of_tensorflow() -> None:
    """There is nothing in it to compare, so that TensorFlow was not read is no finding about it."""
    empty = facts("tensorflow-metal", paths=STUB_PATHS)
    assert codes(empty) == ["A501"]
    assert codes(facts("tensorflow"), empty) == ["A501"]
    assert codes(tensorflow(), empty) == ["A501"]


def test_every_plugin_next_to_an_unread_tensorflow_is_reported() -> None:
    other = facts("tensorflow-io", binaries={"tensorflow_io/python/ops/libtensorflow_io.so": macho()})
    found = judged(facts("tensorflow"), metal(), other, facts("z", requires=["nosuch"]))
    assert [(finding.rule.code, finding.package) for finding in found] == [
        ("A504", "z 1.0"),
        ("A901", "tensorflow-io 1.0"),
        ("A901", f"tensorflow-metal {metal().version}"),
    ]


@pytest.mark.parametrize(
    ("platform", "needed", "floor"),
    [
        (Platform.OSX_64, (10, 14, 6), "10.15"),
        (Platform.OSX_64, (10, 15), "10.15"),
        (Platform.OSX_64, (10, 15, 0), "10.15"),
        (Platform.OSX_64, (10, 15, 4), "11.0"),
        (Platform.OSX_64, (10, 16), "11.0"),
        (Platform.OSX_64, (11,), "11.0"),
        (Platform.OSX_ARM64, (11, 1), "11.1"),
        (Platform.LINUX_64, (2, 17), "2.17"),
        (Platform.LINUX_64, (2, 18), "2.28"),
        (Platform.LINUX_64, (2, 41), "2.41"),
    ],
)
def test_the_lowest_floor_that_admits_a_binary(platform: Platform, needed: Version, floor: str) -> None:
    assert admitting(platform, needed) == floor


@pytest.mark.parametrize("method", [ZIP_STORED, ZIP_DEFLATED])
def test_the_start_of_a_member_with_an_extra_field(method: int) -> None:
    """The local header has its own extra field, between the name and the content."""
    info = ZipInfo("a/b.so")
    info.compress_type = method
    info.extra = struct.pack("<2H", 0xCAFE, 20) + bytes(range(20))
    buffer = io.BytesIO()
    with ZipFile(buffer, "w") as file:
        file.writestr(info, b"\x7fELF" + bytes(200))
    archive = Archive("a.whl", buffer)
    opened: list[str] = []
    archive.open = lambda name, *_: opened.append(name)  # type: ignore[method-assign,assignment]
    assert archive.start("a/b.so", 4) == b"\x7fELF"
    assert opened == [], "only where that is not enough"


@pytest.mark.parametrize("count", [SHOWN - 1, SHOWN, SHOWN + 1])
def test_a_page_counts_only_names_that_it_leaves_out(count: int) -> None:
    entry = GridEntry(
        platform=Platform.OSX_ARM64,
        tensorflow="2.13.0",
        distribution="tensorflow",
        plugin="tensorflow-metal",
        version="1.0.0",
        library="a.dylib",
        verdict=GridVerdict.FAILS,
        missing=tuple(f"_TF_{number}" for number in range(count)),
    )
    page = to_page([entry], "x")
    assert page.count("- `_TF_") == min(count, SHOWN)
    assert page.endswith("`\n- and 1 more\n") is (count > SHOWN)
    assert "and 0 more" not in page


def test_damaged_facts_are_reported_as_damaged() -> None:
    stream = io.BytesIO()
    dump(facts("a"), stream)
    data = bytearray(stream.getvalue())
    data[60] ^= 1
    with pytest.raises(InvalidBinary, match=r"^facts are damaged$"):
        load(bytes(data))


def test_counts_of_verdicts() -> None:
    def audited(*findings: Finding) -> Audited:
        lock = locked(tensorflow())
        audit = make_audit(lock, wheels=1, binaries=2, findings=findings)
        return Audited(cell=cell(), lock=lock, audit=audit)

    grave = Finding(rule=AuditRule.TAGS, package="a 1.0", detail="x")
    unread = Finding(rule=AuditRule.UNREADABLE, package="a 1.0", detail="x")
    assert counts_line([audited(unread), audited(grave), audited(unread)]) == (
        f"1 fails, 2 unreadable ({MEANING})"
    )
    assert counts_line([audited()]) == f"1 loads ({MEANING})"


def test_binaries_of_two_wheels_as_one_mapping() -> None:
    plugin, tensorflow_s = {"a": macho(name="1"), "b": macho(name="2")}, {"b": macho(name="3"), "c": macho()}
    both = _Either(plugin, tensorflow_s)
    assert (list(both), len(both)) == (["a", "b", "c"], 3)
    assert (both["a"].name, both["b"].name) == ("1", "2")
    assert ("c" in both, "d" in both) == (True, False)


def test_paths_of_two_wheels_as_one_container() -> None:
    paths = _Paths(("a/1", "a/2"), ("b/1",))
    assert [path in paths for path in ("a/1", "a/2", "b/1", "a/3", "")] == [True, True, True, False, False]


def test_a_page_leaves_a_blank_line_before_the_older_releases() -> None:
    def entry(version: str, verdict: GridVerdict) -> GridEntry:
        return GridEntry(
            platform=Platform.OSX_ARM64,
            tensorflow="2.13.0",
            distribution="tensorflow",
            plugin="tensorflow-metal",
            version=version,
            library="a.dylib",
            verdict=verdict,
            missing=("_TF_A",) if verdict is GridVerdict.FAILS else (),
        )

    page = to_page([entry("0.9.0", GridVerdict.FAILS), entry("1.0.0", GridVerdict.LOADS)], "x")
    assert "| 2.13.0 | loads |\n\nOlder releases " in page


@pytest.mark.parametrize(("text", "major"), [(b"numpy._core", 2), (b"numpy.core", 1)])
def test_the_api_of_numpy_is_found_wherever_the_content_is_cut(text: bytes, major: int) -> None:
    content = b"\0" * 50 + text + b"._multiarray_umath\0" + b"\0" * 50
    for cut in range(len(content)):
        watch = _NumpyWatch()
        for chunk in (content[:cut], content[cut:]):
            watch.feed(chunk)
        assert watch.major == major, cut
