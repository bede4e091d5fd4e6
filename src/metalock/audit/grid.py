"""Every published TensorFlow against every release of a plugin, on one platform."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from metalock.adapters.index import IndexWheel
from metalock.audit.facts import WheelFacts
from metalock.audit.linking import Images
from metalock.audit.systems import System
from metalock.binaries import Binary, Format
from metalock.platforms import Platform

OLDEST = Version("2.6")
PREFERRED_PYTHON = "cp39"
"""The Python with wheels of nearly every TensorFlow and every plugin; C++ symbols don't depend on it."""


class GridVerdict(StrEnum):
    """The result for one library together with one TensorFlow."""

    LOADS = "loads"
    FAILS = "fails"
    NO_WHEEL = "no-wheel"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One version of a distribution, with its wheels for the platform by Python tag."""

    distribution: str
    version: Version
    wheels: Mapping[str, IndexWheel]


@dataclass(frozen=True, slots=True, kw_only=True)
class GridEntry:
    """One library of one plugin together with one TensorFlow."""

    platform: Platform
    tensorflow: str
    distribution: str
    plugin: str
    version: str
    library: str
    """Path in site-packages; empty where there is no wheel."""
    verdict: GridVerdict
    missing: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Return the entry as JSON values."""
        return {
            "platform": str(self.platform),
            "tensorflow": self.tensorflow,
            "distribution": self.distribution,
            "plugin": self.plugin,
            "version": self.version,
            "library": self.library,
            "verdict": str(self.verdict),
            "missing": list(self.missing),
        }


def releases(distribution: str, wheels: Iterable[IndexWheel], platform: Platform) -> list[Release]:
    """Return the final releases, oldest first, with what they offer for the platform, whatever its floor."""
    found: dict[Version, dict[str, IndexWheel]] = {}
    for wheel in wheels:
        try:
            _, version, _, tags = parse_wheel_filename(wheel.file)
        except (InvalidWheelFilename, InvalidVersion):
            continue
        if version.is_prerelease:
            continue
        offered = found.setdefault(version, {})
        for tag in tags:
            if _is_for(tag.platform, platform) or tag.platform == "any":
                offered[tag.interpreter] = wheel
    return [
        Release(distribution=distribution, version=version, wheels=offered)
        for version, offered in sorted(found.items())
    ]


def _is_for(tag: str, platform: Platform) -> bool:
    prefix = "macosx_" if platform.is_macos else "manylinux"
    return tag.startswith(prefix) and tag.endswith((f"_{platform.machine}", "_universal2"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two releases, and the Python that their wheels are compared on; None if none has both."""

    tensorflow: Release
    plugin: Release
    python: str | None

    def wheels_to_read(self) -> tuple[IndexWheel, ...]:
        """Return TensorFlow's, which may be a stub where the plugin has no wheel, and the plugin's."""
        if self.python is None:
            return (self.tensorflow.wheels[_preferred(self.tensorflow.wheels)],)
        return (self.tensorflow.wheels[self.python], self.plugin.wheels[self.python])


def pairs(tensorflows: Sequence[Release], plugins: Sequence[Release]) -> Iterator[Pair]:
    """Give every TensorFlow since 2.6 with wheels there, oldest first, with every release of the plugin."""
    for tensorflow in sorted(tensorflows, key=lambda release: (release.version, release.distribution)):
        if tensorflow.version >= OLDEST and tensorflow.wheels:
            for plugin in plugins:
                common = tensorflow.wheels.keys() & plugin.wheels.keys()
                yield Pair(
                    tensorflow=tensorflow, plugin=plugin, python=_preferred(common) if common else None
                )


def _preferred(pythons: Iterable[str]) -> str:
    tags = set(pythons)
    return PREFERRED_PYTHON if PREFERRED_PYTHON in tags else min(tags, key=lambda tag: (len(tag), tag))


def compare(pair: Pair, platform: Platform, facts: Mapping[str, WheelFacts]) -> list[GridEntry]:
    """Return one entry for each library of the plugin, or one for all if a wheel is missing or unreadable.

    `facts` are those of `wheels_to_read` by file; a wheel that couldn't be read is missing there. A stub
    of TensorFlow has no entry: the other distribution of that version holds the real one.
    """
    found = [facts.get(wheel.file) for wheel in pair.wheels_to_read()]
    tensorflow = found[0]
    if tensorflow is not None and tensorflow.is_stub:
        return []
    if pair.python is None:
        return [_entry(pair, platform, "", GridVerdict.NO_WHEEL)]
    plugin = found[1]
    if tensorflow is None or plugin is None or not _was_read(tensorflow) or not _was_read(plugin):
        return [_entry(pair, platform, "", GridVerdict.UNREADABLE)]
    images = Images(
        _Either(plugin.binaries, tensorflow.binaries),
        _Paths(plugin.paths, tensorflow.paths),
        system=System(format=Format.MACH_O if platform.is_macos else Format.ELF),
    )
    entries = []
    for path in sorted(plugin.binaries):
        if images.unread or plugin.binaries[path].imports is None:
            entries.append(_entry(pair, platform, path, GridVerdict.UNREADABLE))
            continue
        missing = images.missing(path)
        names = (*missing.libraries, *missing.refused, *missing.versions, *missing.symbols)
        verdict = GridVerdict.UNREADABLE if missing.unjudged else GridVerdict.LOADS
        entries.append(_entry(pair, platform, path, GridVerdict.FAILS if missing else verdict, names))
    return entries


class _Paths(Container[str]):
    """The files of some wheels: as they are sorted, no set of TensorFlow's ten thousand has to be made."""

    def __init__(self, *wheels: tuple[str, ...]) -> None:
        self._wheels = wheels

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and any(_has(paths, path) for paths in self._wheels)


def _has(paths: tuple[str, ...], path: str) -> bool:
    at = bisect_left(paths, path)
    return paths[at : at + 1] == (path,)


class _Either(Mapping[str, Binary]):
    """Two wheels' binaries as one: only those that are asked for are read of all that TensorFlow has."""

    def __init__(self, plugin: Mapping[str, Binary], tensorflow: Mapping[str, Binary]) -> None:
        self._plugin, self._tensorflow = plugin, tensorflow

    def __getitem__(self, path: str) -> Binary:
        return self._plugin[path] if path in self._plugin else self._tensorflow[path]

    def __contains__(self, path: object) -> bool:
        return path in self._plugin or path in self._tensorflow

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._plugin, *self._tensorflow]))

    def __len__(self) -> int:
        return len(self._plugin.keys() | self._tensorflow.keys())


def _was_read(facts: WheelFacts) -> bool:
    return bool(facts.binaries) and not facts.unreadable and not facts.foreign


def _entry(
    pair: Pair, platform: Platform, library: str, verdict: GridVerdict, missing: tuple[str, ...] = ()
) -> GridEntry:
    return GridEntry(
        platform=platform,
        tensorflow=str(pair.tensorflow.version),
        distribution=pair.tensorflow.distribution,
        plugin=pair.plugin.distribution,
        version=str(pair.plugin.version),
        library=library,
        verdict=verdict,
        missing=missing,
    )
