"""What `matrix.toml` can say: a matrix, its rows and their cells, parsed and checked."""

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
    """Why this is unavailable there; None if it is available."""
    watch: tuple[str, str] | None = None
    """The distribution and specifier to watch for a first wheel that fits; the column's own, if None."""

    def admits(self, python: str) -> bool:
        """Return whether this is for that Python."""
        return self.python is None or self.python.contains(python)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A stack on one platform."""

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
    """Version specs by conda name, without Python."""
    from_conda: tuple[str, ...]
    """PEP 503 names of packages that conda installs if both conda and pip would."""
    rows: tuple[Row, ...]
    """In the file's order, by platform within a stack."""
    defaults: Mapping[Platform, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One column of one cell: what is required, or why it is unavailable."""

    name: str
    specifier: str
    unavailable: str | None = None
    watched: tuple[str, str] = ("", "")
    """Distribution and specifier that no wheel satisfies, as long as this is unavailable."""


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
    """The available columns and the packages of every environment: name to specifier."""
    constraints: Mapping[str, str] = field(default_factory=dict)
    """Limits on what those require: name to specifier; they install nothing by themselves."""
    from_conda: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    is_default: bool = False

    @property
    def name(self) -> str:
        """Return the name that messages and folders use: `osx-arm64/tf2.18-py3.11`."""
        return f"{self.platform}/{self.env}"

    @property
    def tensorflow(self) -> Requirement:
        """Return the column that holds TensorFlow."""
        return next(c for c in self.columns if c.name in TENSORFLOW_DISTRIBUTIONS)

    @property
    def unavailable(self) -> str | None:
        """Return why this whole environment is unavailable: a cell needs TensorFlow."""
        return self.tensorflow.unavailable

    def column(self, name: str) -> Requirement | None:
        """Return the column called `name`, if this stack has it."""
        return next((c for c in self.columns if c.name == name), None)
