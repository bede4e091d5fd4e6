"""The environments that match a filter, as a table or JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from metalock.audit.result import AUDIT_FILE
from metalock.audit.store import AuditStatus
from metalock.evidence.model import SMOKE_FILE
from metalock.evidence.store import Trial
from metalock.matrix.model import Cell, Requirement
from metalock.platforms import Platform, parse_release

CURRENT = "current"
HEADER = (
    *("environment", "platform", "TensorFlow", "Metal", "TF I/O", "Keras", "NumPy"),
    *("runs on", "verified"),
)
NEEDS = {
    "metal": "tensorflow-metal",
    "tfio": "tensorflow-io",
    "keras": "keras",
    "tf-keras": "tf-keras",
    "numpy": "numpy",
}
"""Short words of `--needs`, in addition to the columns' own names."""


class Tier(StrEnum):
    """How much an environment has been tested."""

    LOCKED = "locked"
    AUDITED = "audited"
    """Its wheels were read, and it loads."""
    LINUX = "linux"
    """On Linux every outcome is as the contract says."""
    MAC_CPU = "mac-cpu"
    MAC_GPU = "mac-gpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceFault:
    """A file of evidence that is not valid."""

    file: str
    detail: str
    command: str
    """The command that writes such a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvStatus:
    """What is known of an environment from the files next to its lock."""

    tier: Tier | None
    """None if the lock is not valid."""
    audit: AuditStatus
    trial: Trial

    def faults(self, today: date) -> Iterator[EvidenceFault]:
        """Yield why evidence is not valid; `today` decides which days are in the future."""
        if self.audit.fault:
            yield EvidenceFault(file=AUDIT_FILE, detail=self.audit.fault, command="audit")
        detail = self.trial.fault
        if self.trial.date and date.fromisoformat(self.trial.date) > today:
            detail = f"date: {self.trial.date} is in the future"
        if detail:
            yield EvidenceFault(file=SMOKE_FILE, detail=detail, command="verify")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """The conditions for an environment to be listed; an empty filter admits all."""

    platforms: tuple[Platform, ...] = ()
    pythons: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    """Column names that must be available."""
    macos: str | None = None
    """The macOS that the environment must run on."""
    glibc: str | None = None

    def admits(self, cell: Cell) -> bool:
        """Return whether the cell fulfils every condition."""
        system = self.macos if cell.platform.is_macos else self.glibc
        return (
            (not self.platforms or cell.platform in self.platforms)
            and (not self.pythons or cell.python in self.pythons)
            and all(has(cell, need) for need in self.needs)
            and not (self.macos and not self.glibc and not cell.platform.is_macos)
            and not (self.glibc and not self.macos and cell.platform.is_macos)
            and (system is None or (cell.unavailable is None and Version(cell.floor) <= Version(system)))
            and (not self.needs or cell.unavailable is None)
        )


def has(cell: Cell, name: str) -> bool:
    """Return whether the cell has that column and it is available."""
    column = cell.tensorflow if name == "tensorflow" else cell.column(name)
    return column is not None and column.unavailable is None


def ask(cells: Iterable[Cell], question: Filter) -> list[Cell]:
    """Return the cells that the filter admits, newest TensorFlow first, then newest Python, by platform."""
    order = list(Platform)
    found = [cell for cell in cells if question.admits(cell)]
    return sorted(
        found, key=lambda c: (newness(c), parse_release(c.python), -order.index(c.platform)), reverse=True
    )


def newness(cell: Cell) -> tuple[Version, str]:
    """Return a key that orders stacks by the oldest TensorFlow that they admit."""
    clauses = SpecifierSet(cell.tensorflow.specifier)
    versions = [Version(c.version.removesuffix(".*")) for c in clauses if c.operator[0] in "=~>"]
    return (max(versions, default=Version("0")), cell.stack)


def short(column: Requirement | None) -> str:
    """Return a column for a field of a table: `2.18.1`, `none` if unavailable, `-` if not asked for.

    >>> short(Requirement(name="numpy", specifier="==2.0.*"))
    '2.0.*'
    """
    if column is None:
        return "-"
    return "none" if column.unavailable is not None else _range(column.specifier)


def _range(specifier: str) -> str:
    if "," in specifier:
        return ",".join(sorted(specifier.split(","), reverse=True))
    return specifier.removeprefix("==") or "any"


def to_rows(
    cells: Sequence[Cell], standings: Sequence[str], known: Mapping[str, EnvStatus]
) -> list[tuple[str, ...]]:
    """Return a header and a row for each cell, all text and within 140 columns; `known` is by cell name."""
    rows: list[tuple[str, ...]] = [HEADER]
    for cell, standing in zip(cells, standings, strict=True):
        tensorflow = cell.tensorflow
        version = _range(tensorflow.specifier)
        columns = (cell.column(n) for n in ("tensorflow-metal", "tensorflow-io", "keras", "numpy"))
        rows.append(
            (
                cell.env + (" *" if cell.is_default else ""),
                str(cell.platform),
                version if tensorflow.name == "tensorflow" else f"{version} (macos)",
                *(short(column if cell.unavailable is None else None) for column in columns),
                "-" if cell.unavailable is not None else f"{cell.platform.floor_label} {cell.floor}+",
                "unavailable" if cell.unavailable is not None else _verified(standing, known.get(cell.name)),
            )
        )
    return rows


def _verified(standing: str, known: EnvStatus | None) -> str:
    """Return how a valid lock was tested, or the state of one that is not valid."""
    if known is None or known.tier is None:
        return f"lock {standing}"
    audit = f"audit {known.audit.words}" if known.audit.is_stale else known.audit.words
    tiers = f"{audit}; {known.trial.short}"
    return tiers if standing == CURRENT else f"lock {standing}; {tiers}"


def to_text(rows: Sequence[tuple[str, ...]]) -> str:
    """Return aligned columns, for a terminal or a pipe."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ("  ".join(f.ljust(w) for f, w in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines)


def reasons(cells: Sequence[Cell]) -> list[str]:
    """Return the reasons for what is unavailable; a reason shared by several Pythons occurs once."""
    found: dict[tuple[str, str, str, str], list[str]] = {}
    for cell in cells:
        for column in [cell.tensorflow] if cell.unavailable is not None else cell.columns:
            if column.unavailable is not None:
                key = (cell.stack, str(cell.platform), column.name, column.unavailable)
                found.setdefault(key, []).append(cell.python)
    return [
        f"{stack} {platform}, {name} on Python {', '.join(sorted(pythons, key=parse_release))}: {reason}"
        for (stack, platform, name, reason), pythons in found.items()
    ]


def to_json(cell: Cell, standing: str, known: EnvStatus | None) -> dict[str, object]:
    """Return a cell as JSON values; `unavailable` is null, or the reason."""
    return {
        "env": cell.env,
        "platform": str(cell.platform),
        "stack": cell.stack,
        "python": cell.python,
        "floor": {cell.platform.floor_key: cell.floor},
        "default": cell.is_default,
        "unavailable": cell.unavailable,
        "lock": standing,
        "tier": known and known.tier,
        "audit": known and known.audit.words,
        "smoke": known and known.trial.to_dict(),
        "columns": {c.name: {"specifier": c.specifier, "unavailable": c.unavailable} for c in cell.columns},
    }
