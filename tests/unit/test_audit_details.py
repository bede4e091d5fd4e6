"""audit: small decisions of the rules that other tests do not reach."""

from __future__ import annotations

import pytest
from audit_samples import codes, facts, judged, macho, metal, tensorflow

from metalock.audit.floors import admitting
from metalock.binaries import Version
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
