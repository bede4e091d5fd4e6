"""matrix: faults of one value that must not be taken for faults of others."""

from __future__ import annotations

from samples import HEAD, STACK, faults_of


def test_a_platform_with_a_fault_is_a_platform_all_the_same() -> None:
    text = HEAD + "[platform]\nlinux-64 = 3\n" + STACK + '[stack."tf2.18".linux-64]\nnumpy = "<2"\n'
    assert faults_of(text) == ("platform.linux-64: expected a table, found 3",)
