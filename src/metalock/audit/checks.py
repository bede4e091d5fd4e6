"""The checks of an audit: each is a function from a case to findings, registered with its rules."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from metalock.audit import link_checks
from metalock.audit.case import CHECKS, PLUGINS, Case, check, label
from metalock.audit.facts import WheelFacts
from metalock.audit.floors import admitting, rounded_up, shown
from metalock.audit.rules import AuditRule
from metalock.findings import Finding
from metalock.platforms import parse_release
from metalock.untrusted import one_line

TENSORFLOW = ("tensorflow", "tensorflow-macos", "tensorflow-cpu")
NEVER_IMPORTED = "tensorflow/include/"
"""TensorFlow 2.15 ships copies of extensions among its headers."""
SHOWN = 200
"""Characters of a requirement that a finding repeats."""
NUMPY_ABI = 2
"""From this one on, extensions built for older headers can't be loaded (NumPy 2.0 migration guide)."""


@check(AuditRule.TAGS)
def check_tags(case: Case) -> Iterator[Finding]:
    accepted = set(case.lock.platform.wheel_tags(case.lock.python, case.lock.floor))
    for package in case.lock.pip:
        *_, tags = parse_wheel_filename(package.file)
        if accepted.isdisjoint(tags):
            yield Finding(
                rule=AuditRule.TAGS,
                package=f"{package.name} {package.version}",
                detail=f"{package.file} is not for Python {case.lock.python} on {case.lock.platform}",
            )


@check(AuditRule.UNREADABLE)
def check_readable(case: Case) -> Iterator[Finding]:
    for file, why in sorted(case.unreadable.items()):
        yield Finding(rule=AuditRule.UNREADABLE, package=file, detail=why)
    for wheel in case.wheels:
        for path, why in sorted(wheel.unreadable.items()):
            yield Finding(rule=AuditRule.UNREADABLE, package=label(wheel), where=path, detail=why)


@check(AuditRule.ARCHITECTURE)
def check_architecture(case: Case) -> Iterator[Finding]:
    for wheel in case.wheels:
        for path, found in sorted(wheel.foreign.items()):
            yield Finding(
                rule=AuditRule.ARCHITECTURE,
                package=label(wheel),
                where=path,
                detail=f"is for {', '.join(found)}, not for {case.lock.platform.machine}",
            )


@check(AuditRule.FLOOR)
def check_floor(case: Case) -> Iterator[Finding]:
    platform, floor = case.lock.platform, parse_release(case.lock.floor)
    for wheel in case.wheels:
        floors = {path: binary.floor for path, binary in wheel.binaries.items() if binary.floor}
        above = {path: needed for path, needed in floors.items() if rounded_up(needed) > floor}
        if above:
            highest = max(above.values())
            path = min(path for path, needed in above.items() if needed == highest)
            more = f" (files above it: {len(above)})" if len(above) > 1 else ""
            yield Finding(
                rule=AuditRule.FLOOR,
                package=label(wheel),
                where=path,
                detail=f"needs {platform.floor_label} {shown(highest)}, and the floor is {case.lock.floor}"
                f"{more}; {admitting(platform, highest)} would do",
            )


@check(AuditRule.STUB)
def check_stubs(case: Case) -> Iterator[Finding]:
    stubs = {wheel.name for wheel in case.wheels if wheel.is_stub}
    held = any(package.name in TENSORFLOW and package.name not in stubs for package in case.lock.pip)
    for wheel in case.wheels:
        if wheel.is_stub and (wheel.name in PLUGINS or (wheel.name in TENSORFLOW and not held)):
            yield Finding(
                rule=AuditRule.STUB,
                package=label(wheel),
                detail=f"{wheel.file} installs nothing but its metadata",
            )


@check(AuditRule.REQUIREMENT, AuditRule.UNREADABLE)
def check_python(case: Case) -> Iterator[Finding]:
    for wheel in case.wheels:
        try:
            wanted = SpecifierSet(wheel.requires_python or "")
        except InvalidSpecifier as error:
            detail = f"cannot read which Python it requires: {error}"
            yield Finding(rule=AuditRule.UNREADABLE, package=label(wheel), detail=detail)
            continue
        if not wanted.contains(case.lock.python, prereleases=True):
            detail = f"requires Python {wheel.requires_python}, and {case.lock.python} is locked"
            yield Finding(rule=AuditRule.REQUIREMENT, package=label(wheel), detail=detail)


@check(AuditRule.SELF, AuditRule.REQUIREMENT, AuditRule.UNREADABLE)
def check_requirements(case: Case) -> Iterator[Finding]:
    markers = {**case.lock.platform.marker_environment(case.lock.python), "extra": ""}
    for wheel in case.wheels:
        for text in wheel.requires:
            try:
                requirement = Requirement(text)
                applies = requirement.marker is None or requirement.marker.evaluate(markers)
            except (
                InvalidRequirement,
                UndefinedComparison,
                UndefinedEnvironmentName,
                RecursionError,
            ) as error:
                problem = one_line(str(error), SHOWN)
                detail = f"cannot evaluate the requirement {one_line(text, SHOWN)!r}: {problem}"
                yield Finding(rule=AuditRule.UNREADABLE, package=label(wheel), detail=detail)
                continue
            if applies:
                yield from _check_requirement(case, wheel, requirement)


def _check_requirement(case: Case, wheel: WheelFacts, requirement: Requirement) -> Iterator[Finding]:
    name = canonicalize_name(requirement.name)
    if name == wheel.name:
        if not requirement.extras:
            yield Finding(rule=AuditRule.SELF, package=label(wheel), detail=f"requires {requirement}, itself")
        return
    locked = case.versions.get(name)
    if locked is None:
        detail = f"requires {requirement}, and the lock has no {name}"
        yield Finding(rule=AuditRule.REQUIREMENT, package=label(wheel), detail=detail)
    elif not _admits(requirement, locked):
        detail = f"requires {requirement}, and {name} {locked} is locked"
        yield Finding(rule=AuditRule.REQUIREMENT, package=label(wheel), detail=detail)


def _admits(requirement: Requirement, version: str) -> bool:
    try:
        return requirement.specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return not requirement.specifier


@check(AuditRule.NUMPY)
def check_numpy(case: Case) -> Iterator[Finding]:
    locked = case.versions.get("numpy", "1")
    if Version(locked).major < NUMPY_ABI:
        return
    for wheel in case.wheels:
        old = sorted(
            path
            for path, major in wheel.numpy.items()
            if major < NUMPY_ABI and not path.startswith(NEVER_IMPORTED)
        )
        if old:
            more = f" and {len(old) - 1} more extensions" if len(old) > 1 else ""
            detail = f"compiled for NumPy 1{more}, and numpy {locked} is locked"
            yield Finding(rule=AuditRule.NUMPY, package=label(wheel), where=old[0], detail=detail)


@check(AuditRule.OVERLAP)
def check_overlap(case: Case) -> Iterator[Finding]:
    owners: dict[str, list[WheelFacts]] = {}
    for wheel in case.wheels:
        for path in wheel.paths:
            owners.setdefault(path, []).append(wheel)
    shared: dict[tuple[str, ...], list[str]] = {}
    for path, wheels in owners.items():
        if len(wheels) > 1:
            shared.setdefault(tuple(label(wheel) for wheel in wheels), []).append(path)
    for names, paths in sorted(shared.items()):
        more = f" and {len(paths) - 1} more files" if len(paths) > 1 else ""
        detail = f"{names[1]} writes {min(paths)}{more} too"
        yield Finding(rule=AuditRule.OVERLAP, package=names[0], where=min(paths), detail=detail)


REGISTERED_IN = (link_checks,)
"""Modules whose checks are registered when they are imported, apart from this one."""


def judge(case: Case) -> tuple[Finding, ...]:
    """Return every finding, in the order of the rules; none means that the environment loads.

    Raise `LookupError` if a check finds a rule broken that it is not registered for.
    """
    found = []
    for run, rules in CHECKS.items():
        for finding in run(case):
            if finding.rule not in rules:
                raise LookupError(f"{run.__name__} is not registered for {finding.rule}")
            found.append(finding)
    return tuple(sorted(found, key=lambda f: (f.rule.code, f.package, f.where, f.detail)))
