"""platforms: the tags are those of packaging and pip, for any platform on any machine."""

from __future__ import annotations

import sys
import sysconfig

import pytest
from packaging import tags

from metalock.platforms import UV_GLIBC_TARGETS, Platform


def texts(found: object) -> list[str]:
    assert isinstance(found, list)
    return [str(tag) for tag in found]


@pytest.mark.skipif(sys.platform != "linux", reason="compares with this interpreter's own tags")
def test_linux_tags_are_this_interpreters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tags, "platform_tags", lambda: _manylinux(28))
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert texts(Platform.LINUX_64.wheel_tags(python, "2.28")) == texts(list(tags.sys_tags()))


def _manylinux(glibc: int) -> list[str]:
    aliases = {17: "2014", 12: "2010", 5: "1"}
    found = []
    for minor in range(glibc, 4, -1):
        found.append(f"manylinux_2_{minor}_x86_64")
        if minor in aliases:
            found.append(f"manylinux{aliases[minor]}_x86_64")
    return [*found, "linux_x86_64"]


@pytest.mark.skipif(sys.platform != "linux", reason="packaging asks the C library")
@pytest.mark.parametrize("floor", UV_GLIBC_TARGETS)
def test_manylinux_order_is_packagings(floor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    manylinux = pytest.importorskip("packaging._manylinux")
    version = tuple(int(part) for part in floor.split("."))
    monkeypatch.setattr(manylinux, "_get_glibc_version", lambda: version)
    monkeypatch.setattr(manylinux, "_have_compatible_abi", lambda *_: True)
    expected = [*manylinux.platform_tags(["x86_64"]), "linux_x86_64"]
    own = Platform.LINUX_64.wheel_tags("3.11", floor)
    assert list(dict.fromkeys(tag.platform for tag in own if tag.platform != "any")) == expected


@pytest.mark.parametrize("platform", [Platform.OSX_ARM64, Platform.OSX_64])
@pytest.mark.parametrize("floor", ["10.9", "10.15", "11.0", "12.0", "12.5", "14.0"])
def test_macos_tags_are_packagings(platform: Platform, floor: str) -> None:
    major, minor = (int(part) for part in floor.split("."))
    platforms = list(tags.mac_platforms((major, minor), platform.machine))
    expected = [
        *tags.cpython_tags((3, 11), abis=["cp311"], platforms=platforms),
        *tags.compatible_tags((3, 11), "cp311", platforms),
    ]
    assert platform.wheel_tags("3.11.15", floor) == expected


def test_tags_know_nothing_of_this_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Platform.OSX_ARM64.wheel_tags("3.13", "12.0")
    variables = {"Py_DEBUG": 1, "Py_GIL_DISABLED": 1}
    monkeypatch.setattr(sysconfig, "get_config_var", variables.get)
    assert Platform.OSX_ARM64.wheel_tags("3.13", "12.0") == before
    assert str(before[0]) == "cp313-cp313-macosx_12_0_arm64"


@pytest.mark.parametrize(
    ("platform", "floor", "target", "machine", "label"),
    [
        (Platform.OSX_ARM64, "12.0", "aarch64-apple-darwin", "arm64", "macOS"),
        (Platform.OSX_64, "12.0", "x86_64-apple-darwin", "x86_64", "macOS"),
        (Platform.LINUX_64, "2.28", "x86_64-manylinux_2_28", "x86_64", "glibc"),
    ],
)
def test_facts(platform: Platform, floor: str, target: str, machine: str, label: str) -> None:
    assert (platform.uv_target(floor), platform.machine, platform.floor_label) == (target, machine, label)
    names = [name for name, _, _ in platform.virtual_packages(floor)]
    system = ["__osx"] if platform.is_macos else ["__linux", "__glibc"]
    assert names == ["__unix", *system, "__archspec"]
    assert any(floor == version for _, version, _ in platform.virtual_packages(floor))
