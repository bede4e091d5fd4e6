"""The comparison of an environment with a lock: after a build, and of what any other client made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from packaging.version import InvalidVersion, Version

from metalock.adapters.building import is_half_built
from metalock.faults import few
from metalock.findings import CheckRule, Finding
from metalock.lock.model import CondaPackage, Lock
from metalock.prefix.hashing import SoundFiles, Stated, altered_files
from metalock.prefix.interpreter import check_interpreter
from metalock.prefix.model import Backend, expected_distributions
from metalock.prefix.read import CondaRecord, Prefix, read_prefix
from metalock.prefix.record import Installed, paths_of, read_conda, read_installed
from metalock.prefix.unknown import find_unknown

SHOWN = 3
"""How many files a finding about one package names."""
SHOWN_UNKNOWN = 8
_AGAIN = "Build the environment again."


def check_prefix(
    lock: Lock, prefix: Path, *, records: Mapping[str, str] | None = None, sound: SoundFiles | None = None
) -> list[Finding]:
    """Return how the environment differs from the lock; raise `UsageError` if there is none.

    `records` is the table of `envs/records.json`; a wheel that is not in it is compared with its own RECORD.
    """
    found = read_prefix(prefix)
    findings = list(compare(lock, found))
    if is_half_built(prefix):
        detail = "an interrupted build left it incomplete"
        findings.insert(0, _finding(CheckRule.HALF_BUILT, str(prefix), detail, _AGAIN))
    wheels = [read_installed(distribution, prefix) for distribution in found.distributions]
    conda = [read_conda(record, prefix) for record in found.conda]
    findings += _check_files(lock, found, wheels, conda, sound)
    findings += _check_records(lock, wheels, records or {})
    findings += _check_unknown(found, paths_of([*wheels, *conda]))
    return findings


def compare(lock: Lock, found: Prefix) -> Iterator[Finding]:
    """Yield the differences in names, versions and builds, for which no file is read."""
    yield from check_interpreter(lock, found)
    for fault in found.faults:
        yield _finding(CheckRule.ALTERED, str(found.path), fault)
    if found.backend is Backend.CONDA:
        yield from _check_conda(lock, found)
    yield from _check_distributions(expected_distributions(lock, found.backend), found)


def not_compared(lock: Lock, found: Prefix, records: Mapping[str, str]) -> list[str]:
    """Return the installed packages that nothing from outside of the environment can be compared with."""
    known = {package.name for package in lock.pip if package.sha256 in records}
    expected = set(expected_distributions(lock, found.backend))
    wheels = {item.name for item in found.distributions if item.name in expected - known}
    return sorted(wheels | {record.name for record in found.conda if record.files and not record.hashed})


def _check_conda(lock: Lock, found: Prefix) -> Iterator[Finding]:
    installed = {record.name: record for record in found.conda}
    for name, count in Counter(record.name for record in found.conda).items():
        if count > 1:
            yield _finding(CheckRule.EXTRA, name, f"has {count} records in conda-meta")
    for package in lock.conda:
        record = installed.pop(package.name, None)
        if record is None:
            detail = f"{package.version} {package.build} is not installed"
            yield _finding(CheckRule.ABSENT, package.name, detail)
        else:
            yield from _check_record(package, record)
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
            yield _finding(CheckRule.EXTRA, item.name, f"installed {counts[item.name]} times")


def _check_files(
    lock: Lock,
    found: Prefix,
    wheels: Sequence[Installed],
    conda: Sequence[Installed],
    sound: SoundFiles | None,
) -> Iterator[Finding]:
    """Yield what differs from the records of the locked packages in the environment."""
    expected = expected_distributions(lock, found.backend)
    locked = {package.name for package in lock.conda} if found.backend is Backend.CONDA else set()
    wrong: dict[str, list[str]] = {}
    stated: dict[str, list[Stated]] = {}
    packages = [item for item in conda if item.name in locked]
    for package in (*packages, *(item for item in wheels if item.name in expected)):
        wrong.setdefault(package.name, []).extend(package.faults)
        stated.setdefault(package.name, []).extend(package.stated)
    altered = altered_files(stated, sound)
    for name, faults in wrong.items():
        every = [*faults, *altered.get(name, [])]
        if every:
            yield _finding(CheckRule.ALTERED, name, few(every, SHOWN))


def _check_records(lock: Lock, wheels: Iterable[Installed], records: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the wheels of the locked version whose RECORD is another than the locked file's."""
    packages = {package.name: package for package in lock.pip}
    for wheel in wheels:
        package = packages.get(wheel.name)
        if package is None or wheel.digest is None or not same_version(wheel.version, package.version):
            continue
        if records.get(package.sha256, wheel.digest) != wheel.digest:
            detail = f"its RECORD is not that of {package.file}: entries were added, removed or changed"
            yield _finding(CheckRule.RECORD, wheel.name, detail, _AGAIN)


def _check_unknown(found: Prefix, accounted: set[str]) -> Iterator[Finding]:
    unknown = find_unknown(found, accounted)
    where = str(found.path)
    if unknown.files:
        detail = f"in no package's record: {few(unknown.files, SHOWN_UNKNOWN)}"
        yield _finding(CheckRule.UNKNOWN, where, detail, f"Remove what you did not add. {_AGAIN}")
    if unknown.links:
        detail = f"symbolic links that lead out: {few(unknown.links, SHOWN_UNKNOWN)}"
        yield _finding(CheckRule.OUTSIDE, where, detail, _AGAIN)


def same_version(one: str, other: str) -> bool:
    """Return whether PEP 440 takes both for the same version, as `1.0` and `1.0.0`."""
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other


def closest(locks: Iterable[tuple[str, Lock]], found: Prefix) -> tuple[str, Lock] | None:
    """Return the environment and lock with the fewest differences; None if there are no locks."""
    return min(locks, key=lambda item: sum(1 for _ in compare(item[1], found)), default=None)


def _finding(rule: CheckRule, where: str, detail: str, fix: str = "") -> Finding:
    return Finding(rule=rule, where=where, detail=detail, fix=fix)
