"""The values that a build takes and returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from packaging.utils import canonicalize_name

from metalock.lock.model import CondaPackage, Lock


class Backend(StrEnum):
    """Where the interpreter of an environment comes from."""

    CONDA = "conda"
    VENV = "venv"
    """An interpreter of the machine: the pip part of a lock alone, for machines without conda."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """An environment, and the folder to make it in."""

    lock: Lock
    env: str
    prefix: Path
    backend: Backend
    python: Path | None = None
    """The interpreter to make a venv on; None for conda."""
    keep_failed: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    """The variables that `conda activate` sets."""
    records: Mapping[str, str] = field(default_factory=dict)
    """The table of `envs/records.json`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """An environment that equals its lock."""

    prefix: Path
    python: Path
    backend: Backend
    seconds: float
    interpreter: str
    """The interpreter's full version: a venv's may have another patch number than the lock's."""
    is_new: bool = True
    """False if it existed already."""


def python_packages(lock: Lock) -> dict[str, CondaPackage]:
    """Return the conda packages that are Python distributions, by PEP 503 name: a venv has them as wheels."""
    return {
        canonicalize_name(package.name): package
        for package in lock.conda
        if package.needs_python and package.record.get("noarch") != "generic"
    }


def expected_distributions(lock: Lock, backend: Backend) -> dict[str, str]:
    """Return name and version of each distribution that pip's part of an environment has to hold."""
    expected = {package.name: package.version for package in lock.pip}
    if backend is Backend.VENV:
        expected |= {name: package.version for name, package in python_packages(lock).items()}
    return expected
