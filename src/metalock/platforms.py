"""The three platforms that metalock locks for, and what each implies for conda, pip and uv."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packaging.tags import Tag

UV_GLIBC_TARGETS = ("2.17", "2.28", *(f"2.{minor}" for minor in range(31, 41)))
"""The glibc versions of uv's `x86_64-manylinux_*` targets: only these can be floors."""


class Platform(StrEnum):
    """A conda subdir (CEP 26) that environments are made for."""

    OSX_ARM64 = "osx-arm64"
    OSX_64 = "osx-64"
    LINUX_64 = "linux-64"

    @property
    def is_macos(self) -> bool:
        return self is not Platform.LINUX_64

    @property
    def floor_key(self) -> str:
        """Return the key of `matrix.toml` that sets the oldest system supported: `macos` or `glibc`."""
        return "macos" if self.is_macos else "glibc"

    @property
    def floor_label(self) -> str:
        """Return the name of the floor for people."""
        return "macOS" if self.is_macos else "glibc"

    @property
    def machine(self) -> str:
        """Return the `platform_machine` marker value (PEP 508)."""
        return "arm64" if self is Platform.OSX_ARM64 else "x86_64"

    def marker_environment(self, python: str) -> dict[str, str]:
        """Return the markers (PEP 508) of CPython `python` (`3.11.15`) there, without system versions."""
        return {
            "implementation_name": "cpython",
            "implementation_version": python,
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Darwin" if self.is_macos else "Linux",
            "platform_version": "",
            "python_full_version": python,
            "python_version": minor_of(python),
            "sys_platform": "darwin" if self.is_macos else "linux",
        }

    def floor_fault(self, floor: str) -> str | None:
        """Return what is wrong with a floor, or None."""
        if self.is_macos:
            if not re.fullmatch(r"(10\.(9|1[0-5])|(1[1-9]|2[0-9])\.[0-9])", floor):
                return 'expected a macOS version such as "12.0"'
        elif floor not in UV_GLIBC_TARGETS:
            return f"expected one of {', '.join(UV_GLIBC_TARGETS)}"
        return None

    def virtual_packages(self, floor: str) -> tuple[tuple[str, str, str], ...]:
        """Return name, version and build of each virtual package (CEP 30) of the oldest system supported.

        `__linux` has version 0: the matrix promises no kernel, so nothing may ask for one.
        """
        if self is Platform.OSX_ARM64:
            return (("__unix", "0", "0"), ("__osx", floor, "0"), ("__archspec", "1", "m1"))
        if self is Platform.OSX_64:
            return (("__unix", "0", "0"), ("__osx", floor, "0"), ("__archspec", "1", "x86_64"))
        return (
            ("__unix", "0", "0"),
            ("__linux", "0", "0"),
            ("__glibc", floor, "0"),
            ("__archspec", "1", "x86_64"),
        )

    def uv_target(self, floor: str) -> str:
        """Return the `--python-platform` of uv; on macOS, `MACOSX_DEPLOYMENT_TARGET` sets the floor."""
        if self is Platform.OSX_ARM64:
            return "aarch64-apple-darwin"
        if self is Platform.OSX_64:
            return "x86_64-apple-darwin"
        return f"x86_64-manylinux_{floor.replace('.', '_')}"

    def wheel_tags(self, python: str, floor: str) -> Sequence[Tag]:
        """Return the wheel tags that pip accepts there on CPython `python` (`3.11`), best first."""
        from packaging.tags import compatible_tags, cpython_tags, mac_platforms

        version = parse_release(python)[:2]
        if self.is_macos:
            platforms = list(mac_platforms(parse_release(floor), self.machine))
        else:
            platforms = _manylinux_platforms(parse_release(floor))
        interpreter = f"cp{version[0]}{version[1]}"
        return [
            *cpython_tags(
                version, abis=[interpreter], platforms=platforms
            ),  # else: the ABIs of the running Python
            *compatible_tags(version, interpreter, platforms),
        ]


def platform_of(system: str, machine: str) -> Platform | None:
    """Return the platform of a machine, by `sys.platform` and `platform.machine()`; None if it has no locks.

    >>> str(platform_of("darwin", "arm64"))
    'osx-arm64'
    """
    families = {"darwin": "Darwin", "linux": "Linux"}
    for platform in Platform:
        markers = platform.marker_environment("3.0")
        if (families.get(system), machine) == (markers["platform_system"], markers["platform_machine"]):
            return platform
    return None


def _manylinux_platforms(glibc: tuple[int, int]) -> list[str]:
    """Return PEP 600 tags from `glibc` down, with the older names of PEP 513, 571 and 599."""
    aliases = {17: "manylinux2014_x86_64", 12: "manylinux2010_x86_64", 5: "manylinux1_x86_64"}
    platforms = []
    for minor in range(glibc[1], 4, -1):
        platforms.append(f"manylinux_{glibc[0]}_{minor}_x86_64")
        if minor in aliases:
            platforms.append(aliases[minor])
    return [*platforms, "linux_x86_64"]


def minor_of(python: str) -> str:
    """Return the minor version of a Python.

    >>> minor_of("3.11.9")
    '3.11'
    """
    return ".".join(python.split(".")[:2])


def parse_release(version: str) -> tuple[int, int]:
    """Return the major and minor number.

    >>> parse_release("3.11.15")
    (3, 11)
    """
    major, minor, *_ = version.split(".")
    return int(major), int(minor)
