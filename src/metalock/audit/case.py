"""What is judged, and the registry of the checks that judge it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from packaging.utils import canonicalize_name

from metalock.audit.facts import WheelFacts
from metalock.audit.linking import Images
from metalock.audit.rules import AuditRule
from metalock.audit.systems import System
from metalock.binaries import Format
from metalock.findings import Finding
from metalock.lock.model import Lock
from metalock.platforms import parse_release

PLUGINS = ("tensorflow-metal", "tensorflow-io", "tensorflow-io-gcs-filesystem")
"""Wheels that link against TensorFlow's own libraries without saying so in their metadata."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One environment: its lock, and the facts of its wheels."""

    lock: Lock
    wheels: tuple[WheelFacts, ...]
    unreadable: Mapping[str, str]
    """Wheel file to why it could not be read at all."""

    @cached_property
    def versions(self) -> dict[str, str]:
        """Return the version of every distribution of the environment, those of conda included."""
        conda: dict[str, str] = {
            canonicalize_name(p.name): p.version for p in self.lock.conda if p.needs_python or p.name == "pip"
        }
        return {**conda, **{canonicalize_name(p.name): p.version for p in self.lock.pip}}

    @cached_property
    def owners(self) -> dict[str, WheelFacts]:
        """Return the wheel of each binary, by path in site-packages."""
        return {path: wheel for wheel in self.wheels for path in wheel.binaries}

    @cached_property
    def images(self) -> Images:
        """Return all binaries of the environment, by path in site-packages."""
        platform = self.lock.platform
        form = Format.MACH_O if platform.is_macos else Format.ELF
        return Images(
            {path: binary for wheel in self.wheels for path, binary in wheel.binaries.items()},
            frozenset(path for wheel in self.wheels for path in wheel.paths),
            system=System(format=form, floor=parse_release(self.lock.floor)),
            foreign=frozenset(path for wheel in self.wheels for path in wheel.foreign),
            unread=frozenset(path for wheel in self.wheels for path in wheel.unreadable),
        )


Check = Callable[[Case], Iterator[Finding]]
CHECKS: dict[Check, frozenset[AuditRule]] = {}
"""Every check, in the order in which they run, with the rules that it may find broken."""


def check(*rules: AuditRule) -> Callable[[Check], Check]:
    """Register a check with the rules of its findings."""

    def register(function: Check) -> Check:
        CHECKS[function] = frozenset(rules)
        return function

    return register


def label(wheel: WheelFacts) -> str:
    """Return the name of a wheel in a finding."""
    return f"{wheel.name} {wheel.version}"
