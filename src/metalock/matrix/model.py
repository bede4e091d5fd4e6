"""The words of the matrix: what a person may write, parsed and checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.specifiers import SpecifierSet

    from metalock.platforms import Platform

TENSORFLOW_DISTRIBUTIONS = ("tensorflow", "tensorflow-macos")
COLUMNS = (
    *TENSORFLOW_DISTRIBUTIONS,
    "tensorflow-metal",
    "keras",
    "tf-keras",
    "numpy",
    "tensorflow-io",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One version range of a column, for the Pythons that `python` admits (all, if None)."""

    specifier: str
    """PEP 440, normalised; empty for any version."""
    python: SpecifierSet | None = None
    unavailable: str | None = None
    """Why this can't be had there; None where it can."""
    watch: tuple[str, str] | None = None
    """The distribution and specifier whose first fitting wheel would end that; the column's own, if None."""

    def admits(self, python: str) -> bool:
        """Whether this is for that Python."""
        return self.python is None or self.python.contains(python)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A stack as one platform offers it."""

    stack: str
    platform: Platform
    pythons: tuple[str, ...]
    columns: Mapping[str, tuple[Choice, ...]]
    packages: Mapping[str, str]
    """Pip requirements beyond the columns: name to PEP 440 specifier."""
    constraints: Mapping[str, str]
    """Versions of what something else may require: name to PEP 440 specifier."""
    variables: Mapping[str, str]
    floor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """A whole `matrix.toml`."""

    channels: tuple[str, ...]
    exclude_newer: str
    """UTC, `2026-08-21T00:00:00Z`."""
    conda_packages: Mapping[str, str]
    """Conda name to version spec, beside Python."""
    from_conda: tuple[str, ...]
    """PEP 503 names of which conda's copy is kept where both would install one."""
    rows: tuple[Row, ...]
    """In the file's order, by platform within a stack."""
    defaults: Mapping[Platform, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One column of one cell: what is wanted, or why it can't be had."""

    name: str
    specifier: str
    unavailable: str | None = None
    watched: tuple[str, str] = ("", "")
    """Distribution and specifier of which no wheel fits, as long as this is unavailable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One environment on one platform: all that its lock depends on."""

    env: str
    stack: str
    platform: Platform
    python: str
    """`3.11`."""
    floor: str
    channels: tuple[str, ...]
    exclude_newer: str
    columns: tuple[Requirement, ...]
    conda: Mapping[str, str]
    pip: Mapping[str, str]
    """The available columns and the packages for everyone: name to specifier."""
    constraints: Mapping[str, str] = field(default_factory=dict)
    """Limits on what those require: name to specifier; asks for nothing by itself."""
    from_conda: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    is_default: bool = False

    @property
    def name(self) -> str:
        """`osx-arm64/tf2.18-py3.11`, as messages and folders say it."""
        return f"{self.platform}/{self.env}"

    @property
    def tensorflow(self) -> Requirement:
        """The column that holds TensorFlow."""
        return next(c for c in self.columns if c.name in TENSORFLOW_DISTRIBUTIONS)

    @property
    def unavailable(self) -> str | None:
        """Why this whole environment can't be had: a cell without TensorFlow is none."""
        return self.tensorflow.unavailable

    def column(self, name: str) -> Requirement | None:
        """The column called `name`, if this stack has it."""
        return next((c for c in self.columns if c.name == name), None)
