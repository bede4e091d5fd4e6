"""The oldest system that a binary loads on, in terms of the floors that a matrix can set."""

from __future__ import annotations

from metalock.binaries import Version
from metalock.platforms import UV_GLIBC_TARGETS, Platform, parse_release


def rounded_up(version: Version) -> tuple[int, int]:
    """Return the least floor that admits the version: floors have two numbers.

    >>> rounded_up((12, 3, 0)), rounded_up((12, 2, 1)), rounded_up((14,))
    ((12, 3), (12, 3), (14, 0))
    """
    major, minor, *rest = (*version, 0)
    return (major, minor + 1) if any(rest) else (major, minor)


def shown(version: Version) -> str:
    """Return the version as text, without a patch number of zero.

    >>> shown((12, 3, 0)), shown((10, 14, 6)), shown((14,))
    ('12.3', '10.14.6', '14.0')
    """
    return ".".join(str(number) for number in (rounded_up(version) if not any(version[2:]) else version))


def admitting(platform: Platform, version: Version) -> str:
    """Return the least floor that `matrix.toml` takes and that admits the version, or else the version.

    >>> admitting(Platform.LINUX_64, (2, 29)), admitting(Platform.OSX_64, (10, 15, 4))
    ('2.31', '11.0')
    """
    needed = rounded_up(version)
    if platform.is_macos:
        return "11.0" if (10, 15) < needed < (11, 0) else ".".join(map(str, needed))
    offered = (target for target in UV_GLIBC_TARGETS if parse_release(target) >= needed)
    return next(offered, ".".join(map(str, needed)))
