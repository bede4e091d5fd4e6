"""adapters/index: which wheels of a project page fit a platform, Python and floor."""

from __future__ import annotations

import pytest

from metalock.adapters.index import IndexWheel, PackageIndex
from metalock.platforms import Platform

FILE = "x-1.0-cp311-cp311-macosx_11_0_arm64.whl"


class OneWheel(PackageIndex):
    """An index whose only project has one wheel."""

    def __init__(self, wheel: IndexWheel) -> None:
        super().__init__("https://example.invalid/simple")
        self._wheel = wheel

    def wheels(self, distribution: str) -> dict[str, IndexWheel]:
        return {self._wheel.file: self._wheel} if distribution == "x" else {}


def fits(file: str = FILE, *, requires_python: str | None = None, yanked: bool = False) -> bool:
    wheel = IndexWheel(file=file, url=file, sha256="0" * 64, requires_python=requires_python, yanked=yanked)
    found = OneWheel(wheel).fitting("x", ">=1,<2", platform=Platform.OSX_ARM64, python="3.11", floor="12.0")
    assert found in ([], [wheel])
    return bool(found)


def test_a_yanked_wheel_does_not_fit() -> None:
    assert fits()
    assert not fits(yanked=True)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("x-1.9-py3-none-any.whl", True),
        ("x-2.0-py3-none-any.whl", False),
        ("x-1.5rc1-py3-none-any.whl", False),
        ("x-1.0-cp310-cp310-macosx_11_0_arm64.whl", False),
        ("x-1.0-cp310.cp311-cp310.cp311-macosx_11_0_arm64.whl", True),
        ("x-1.0-cp311-cp311-macosx_13_0_arm64.whl", False),
        ("x-1.0-cp311-cp311-macosx_13_0_arm64.macosx_12_0_arm64.whl", True),
        ("x-1.0-cp311-cp311-macosx_11_0_x86_64.whl", False),
        ("x-1.0.whl", False),
        ("x-one-py3-none-any.whl", False),
    ],
)
def test_version_and_tags_decide(file: str, expected: bool) -> None:  # noqa: FBT001 - a column of the table
    assert fits(file) is expected


@pytest.mark.parametrize(
    ("requires_python", "expected"),
    [(">=3.8", True), (">=3.12", False), ("<3.11", False), (">=3.11.4", True), ("three", True)],
)
def test_the_last_patch_of_a_python_decides(requires_python: str, expected: bool) -> None:  # noqa: FBT001
    assert fits(requires_python=requires_python) is expected
