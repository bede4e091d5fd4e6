"""What is asked of a build, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from packaging.utils import canonicalize_name

from metalock.lock.model import CondaPackage, Lock


class Backend(StrEnum):
    """What the interpreter of an environment comes from."""

    CONDA = "conda"
    VENV = "venv"
    """An interpreter that was there: the pip part of a lock alone, for machines without conda."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """One environment, to be made in one place."""

    lock: Lock
    env: str
    prefix: Path
    backend: Backend
    python: Path | None = None
    """The interpreter that a venv is made on; None for conda."""
    keep_failed: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    """What `conda activate` is to set."""


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
    """False where it was there already."""


def python_packages(lock: Lock) -> dict[str, CondaPackage]:
    """By PEP 503 name, the conda packages that are Python distributions: a venv has them as wheels."""
    return {
        canonicalize_name(package.name): package
        for package in lock.conda
        if package.needs_python and package.record.get("noarch") != "generic"
    }


def expected_distributions(lock: Lock, backend: Backend) -> dict[str, str]:
    """Name to version of what pip's side of an environment has to hold."""
    expected = {package.name: package.version for package in lock.pip}
    if backend is Backend.VENV:
        expected |= {name: package.version for name, package in python_packages(lock).items()}
    return expected
