"""What is known to load and be wrong: reports, as data with their sources."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from typing import Any

from packaging.specifiers import SpecifierSet

from metalock.audit.rules import AuditRule
from metalock.findings import Finding
from metalock.lock.model import Lock
from metalock.matrix.model import TENSORFLOW_DISTRIBUTIONS
from metalock.matrix.values import normal_specifier
from metalock.platforms import Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One report, and the combinations that it is about."""

    platforms: frozenset[Platform]
    tensorflow: SpecifierSet
    plugin: str
    plugin_versions: SpecifierSet
    detail: str
    sources: tuple[str, ...]

    def concerns(self, platform: Platform, tensorflow: str, plugin: str | None) -> bool:
        """Return whether the report is about those versions there."""
        return (
            platform in self.platforms
            and plugin is not None
            and self.tensorflow.contains(tensorflow)
            and self.plugin_versions.contains(plugin)
        )


RULES = frozenset({AuditRule.KNOWN})
"""The rules whose findings come from the reports, and not from a check of the wheels."""


@cache
def _tables() -> dict[str, list[dict[str, Any]]]:
    return tomllib.loads((resources.files("metalock.audit") / "reports.toml").read_text(encoding="utf-8"))


def optional_reason(plugin: str, path: str) -> str | None:
    """Return why the plugin does without the library at `path`, or None if it cannot."""
    for entry in _tables()["optional"]:
        if entry["plugin"] == plugin and fnmatchcase(path, entry["path"]):
            return str(entry["reason"])
    return None


@cache
def known_reports() -> tuple[Report, ...]:
    """Return the reports of `reports.toml`, in its order."""
    return tuple(
        Report(
            platforms=frozenset(Platform(name) for name in entry["platforms"]),
            tensorflow=SpecifierSet(normal_specifier(entry["tensorflow"])),
            plugin=entry["plugin"]["name"],
            plugin_versions=SpecifierSet(normal_specifier(entry["plugin"]["version"])),
            detail=entry["detail"],
            sources=tuple(entry["sources"]),
        )
        for entry in _tables()["known"]
    )


def warnings_of(lock: Lock) -> Iterator[Finding]:
    """Give a finding for each report that concerns a lock; only its versions are needed."""
    versions = {package.name: package.version for package in lock.pip}
    tensorflow = next((versions[name] for name in TENSORFLOW_DISTRIBUTIONS if name in versions), None)
    if tensorflow is None:
        return
    for known in known_reports():
        plugin = versions.get(known.plugin)
        if known.concerns(lock.platform, tensorflow, plugin):
            yield Finding(
                rule=AuditRule.KNOWN,
                package=f"{known.plugin} {plugin}",
                detail=f"{known.detail} ({', '.join(known.sources)})",
            )
