"""An environment held against a lock: the check after a build, and of what any other client made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from packaging.version import InvalidVersion, Version

from metalock.adapters.building import is_half_built
from metalock.findings import CheckRule, Finding
from metalock.lock.model import CondaPackage, Lock
from metalock.platforms import parse_release
from metalock.prefix.model import Backend, expected_distributions
from metalock.prefix.read import CondaRecord, Prefix, backend_of, python_of, read_prefix
from metalock.prefix.record import SoundFiles, altered_files

__all__ = ["backend_of", "check_prefix", "closest", "compare", "python_of"]
SHOWN = 3
"""Files that a finding names."""


def check_prefix(lock: Lock, prefix: Path, *, sound: SoundFiles | None = None) -> list[Finding]:
    """How the environment differs from the lock, its files read; raise `UsageError` where there is none."""
    found = read_prefix(prefix)
    findings = list(compare(lock, found))
    if is_half_built(prefix):
        findings.insert(0, _finding(CheckRule.HALF_BUILT, str(prefix), "a build that was broken off"))
    expected = expected_distributions(lock, found.backend)
    locked = [distribution for distribution in found.distributions if distribution.name in expected]
    for name, wrong in altered_files(locked, sound).items():
        findings.append(_finding(CheckRule.ALTERED, name, _few(wrong)))
    return findings


def compare(lock: Lock, found: Prefix) -> Iterator[Finding]:
    """Names, versions and builds, and the presence of conda's files; reads no file."""
    yield from _check_interpreter(lock, found)
    for fault in found.faults:
        yield _finding(CheckRule.ALTERED, str(found.path), fault)
    if found.backend is Backend.CONDA:
        yield from _check_conda(lock, found)
    yield from _check_distributions(expected_distributions(lock, found.backend), found)


def _check_interpreter(lock: Lock, found: Prefix) -> Iterator[Finding]:
    python = python_of(found.path)
    if not python.exists():
        gone = "its interpreter is gone" if python.is_symlink() else "has no bin/python"
        yield _finding(CheckRule.INTERPRETER, str(found.path), gone)
    if found.backend is Backend.VENV and (
        found.python is None or parse_release(found.python) != parse_release(lock.python)
    ):
        detail = f"Python {found.python or 'of unknown version'}, the lock has {lock.python}"
        yield _finding(CheckRule.INTERPRETER, str(found.path), detail)


def _check_conda(lock: Lock, found: Prefix) -> Iterator[Finding]:
    installed = {record.name: record for record in found.conda}
    for package in lock.conda:
        record = installed.pop(package.name, None)
        if record is None:
            detail = f"{package.version} {package.build} is not installed"
            yield _finding(CheckRule.ABSENT, package.name, detail)
            continue
        yield from _check_record(package, record)
        missing = [file for file in record.files if not _is_there(found.path, file)]
        if missing:
            yield _finding(CheckRule.ALTERED, record.name, _few([f"{file} is missing" for file in missing]))
    for record in installed.values():
        detail = f"{record.version} {record.build} is installed, and not in the lock"
        yield _finding(CheckRule.EXTRA, record.name, detail)


def _check_record(package: CondaPackage, record: CondaRecord) -> Iterator[Finding]:
    if (record.version, record.build) != (package.version, package.build):
        detail = f"{record.version} {record.build}, the lock has {package.version} {package.build}"
        yield _finding(CheckRule.OTHER, package.name, detail)
    elif record.sha256 is not None and record.sha256 != package.sha256:
        detail = f"of that build, but sha256 {record.sha256}, the lock has {package.sha256}"
        yield _finding(CheckRule.OTHER, package.name, detail)


def _is_there(prefix: Path, file: str) -> bool:
    """Compiled Python comes and goes."""
    path = prefix / file
    return file.endswith(".pyc") or path.exists() or path.is_symlink()


def _check_distributions(expected: dict[str, str], found: Prefix) -> Iterator[Finding]:
    counts = Counter(distribution.name for distribution in found.distributions)
    for name, version in expected.items():
        if name not in counts:
            yield _finding(CheckRule.ABSENT, name, f"{version} is not installed")
    for item in found.distributions:
        if item.name not in expected:
            yield _finding(CheckRule.EXTRA, item.name, f"{item.version} is installed, and not in the lock")
        elif not same_version(item.version, expected[item.name]):
            yield _finding(CheckRule.OTHER, item.name, f"{item.version}, the lock has {expected[item.name]}")
        elif counts[item.name] > 1:
            yield _finding(CheckRule.EXTRA, item.name, f"installed {counts[item.name]} times over")


def same_version(one: str, other: str) -> bool:
    """As PEP 440 compares them, so `1.0` is `1.0.0`."""
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other


def closest(locks: Iterable[tuple[str, Lock]], found: Prefix) -> tuple[str, Lock] | None:
    """The environment and lock with the fewest differences; None for no locks."""
    return min(locks, key=lambda item: sum(1 for _ in compare(item[1], found)), default=None)


def _finding(rule: CheckRule, where: str, detail: str) -> Finding:
    return Finding(rule=rule, where=where, detail=detail)


def _few(faults: list[str]) -> str:
    more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    return "; ".join(faults[:SHOWN]) + more
