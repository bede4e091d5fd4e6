"""audit: small decisions of the rules that other tests do not reach."""

from __future__ import annotations

from audit_samples import codes, facts, tensorflow

STUB_PATHS = ("tensorflow_metal-1.0.dist-info/METADATA",)


def test_a_plugin_without_binaries_is_a_stub_whatever_was_read_of_tensorflow() -> None:
    """There is nothing in it to compare, so that TensorFlow was not read is no finding about it."""
    empty = facts("tensorflow-metal", paths=STUB_PATHS)
    assert codes(empty) == ["A501"]
    assert codes(facts("tensorflow"), empty) == ["A501"]
    assert codes(tensorflow(), empty) == ["A501"]
