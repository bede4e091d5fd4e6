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


MACOS_FLOORS = ["10.9", "10.10", "10.14", "10.15", "11.0", "12.3", "19.9", "20.0", "26.1", "29.0"]
NOT_MACOS = ["10.8", "10.16", "10.1", "9.0", "12", "12.10", "12.0.1", "30.0", "012.0", " 12.0", "12.0\n", ""]
NOT_GLIBC = ["2.5", "2.18", "2.27", "2.29", "2.30", "2.41", "2", "12.0", "2.28\n", ""]


@pytest.mark.parametrize("platform", [Platform.OSX_ARM64, Platform.OSX_64])
def test_floors_of_macos(platform: Platform) -> None:
    assert [
        floor for floor in MACOS_FLOORS + NOT_MACOS if platform.floor_fault(floor) is None
    ] == MACOS_FLOORS
    assert platform.floor_fault("10.16") == 'expected a macOS version such as "12.0"'


def test_floors_of_linux() -> None:
    right = ["2.17", "2.28", "2.31", "2.35", "2.40"]
    assert [floor for floor in right + NOT_GLIBC if Platform.LINUX_64.floor_fault(floor) is None] == right
    assert Platform.LINUX_64.floor_fault("2.30") == f"expected one of {', '.join(UV_GLIBC_TARGETS)}"


@pytest.mark.parametrize(
    ("platform", "floor", "packages"),
    [
        (Platform.OSX_64, "10.15", ["__unix 0", "__osx 10.15", "__archspec 1 x86_64"]),
        (Platform.OSX_ARM64, "12.0", ["__unix 0", "__osx 12.0", "__archspec 1 m1"]),
        (Platform.LINUX_64, "2.17", ["__unix 0", "__linux 0", "__glibc 2.17", "__archspec 1 x86_64"]),
    ],
)
def test_virtual_packages(platform: Platform, floor: str, packages: list[str]) -> None:
    found = platform.virtual_packages(floor)
    assert [" ".join(package).removesuffix(" 0") for package in found] == [
        package.removesuffix(" 0") if package.count(" ") > 1 else package for package in packages
    ]


@pytest.mark.parametrize(
    ("platform", "floor", "yes", "no"),
    [
        (Platform.OSX_64, "10.15", ["10_15_x86_64", "10_9_universal2"], ["11_0_x86_64", "10_16_x86_64"]),
        (
            Platform.OSX_64,
            "11.0",
            ["11_0_x86_64", "10_16_x86_64", "10_15_intel"],
            ["12_0_x86_64", "11_0_arm64"],
        ),
        (Platform.OSX_ARM64, "11.0", ["11_0_arm64", "11_0_universal2"], ["10_15_x86_64", "12_0_arm64"]),
    ],
)
def test_wheel_tags_reach_up_to_the_floor(
    platform: Platform, floor: str, yes: list[str], no: list[str]
) -> None:
    tags_there = {tag.platform.removeprefix("macosx_") for tag in platform.wheel_tags("3.11", floor)}
    assert tags_there.issuperset(yes)
    assert tags_there.isdisjoint(no)
