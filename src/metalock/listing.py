"""The matrix as people ask about it: rows that answer a question, as a table, JSON or Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from metalock.matrix.model import Cell, Requirement
from metalock.platforms import Platform, parse_release

BEGIN, END = "<!-- metalock:table -->", "<!-- /metalock:table -->"
_BLOCK = re.compile(f"{re.escape(BEGIN)}\n.*?{re.escape(END)}", re.DOTALL)
HEADER = (
    *("environment", "platform", "TensorFlow", "Metal", "TF I/O", "Keras", "NumPy"),
    *("runs on", "lock", "audit"),
)
NEEDS = {
    "metal": "tensorflow-metal",
    "tfio": "tensorflow-io",
    "keras": "keras",
    "tf-keras": "tf-keras",
    "numpy": "numpy",
}
"""Short words of `--needs`, beside the columns' own names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What an environment must fulfil to be listed; an empty question admits all."""

    platforms: tuple[Platform, ...] = ()
    pythons: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    """Column names that must be available."""
    macos: str | None = None
    """The macOS that it must run on."""
    glibc: str | None = None

    def admits(self, cell: Cell) -> bool:
        system = self.macos if cell.platform.is_macos else self.glibc
        return (
            (not self.platforms or cell.platform in self.platforms)
            and (not self.pythons or cell.python in self.pythons)
            and all(_has(cell, need) for need in self.needs)
            and not (self.macos and not self.glibc and not cell.platform.is_macos)
            and not (self.glibc and not self.macos and cell.platform.is_macos)
            and (system is None or (cell.unavailable is None and Version(cell.floor) <= Version(system)))
            and (not self.needs or cell.unavailable is None)
        )


def _has(cell: Cell, name: str) -> bool:
    column = cell.tensorflow if name == "tensorflow" else cell.column(name)
    return column is not None and column.unavailable is None


def ask(cells: Iterable[Cell], question: Question) -> list[Cell]:
    """The cells that fulfil it, newest TensorFlow first, then newest Python, by platform."""
    order = list(Platform)
    found = [cell for cell in cells if question.admits(cell)]
    return sorted(
        found, key=lambda c: (newness(c), parse_release(c.python), -order.index(c.platform)), reverse=True
    )


def newness(cell: Cell) -> tuple[Version, str]:
    """Orders stacks by the oldest TensorFlow that they admit."""
    clauses = SpecifierSet(cell.tensorflow.specifier)
    versions = [Version(c.version.removesuffix(".*")) for c in clauses if c.operator[0] in "=~>"]
    return (max(versions, default=Version("0")), cell.stack)


def short(column: Requirement | None) -> str:
    """A column in a table's field: `2.18.1`, `>=3.5,<3.10`, `unavailable`, or `-` where it isn't asked for.

    >>> short(Requirement(name="numpy", specifier="==2.0.*"))
    '2.0.*'
    """
    if column is None:
        return "-"
    return "unavailable" if column.unavailable is not None else _range(column.specifier)


def _range(specifier: str) -> str:
    if "," in specifier:
        return ",".join(sorted(specifier.split(","), reverse=True))
    return specifier.removeprefix("==") or "any"


def to_rows(
    cells: Sequence[Cell], standings: Sequence[str], audits: Mapping[str, str]
) -> list[tuple[str, ...]]:
    """A header and a row for each cell, all text; `audits` is by cell name."""
    rows: list[tuple[str, ...]] = [HEADER]
    for cell, standing in zip(cells, standings, strict=True):
        tensorflow = cell.tensorflow
        version = _range(tensorflow.specifier)
        rows.append(
            (
                cell.env + (" *" if cell.is_default else ""),
                str(cell.platform),
                version if tensorflow.name == "tensorflow" else f"{version} ({tensorflow.name})",
                *(
                    short(cell.column(name) if cell.unavailable is None else None)
                    for name in ("tensorflow-metal", "tensorflow-io", "keras", "numpy")
                ),
                "-" if cell.unavailable is not None else f"{cell.platform.floor_label} {cell.floor}+",
                "unavailable" if cell.unavailable is not None else standing,
                audits.get(cell.name, "-"),
            )
        )
    return rows


def to_text(rows: Sequence[tuple[str, ...]]) -> str:
    """Columns in line, for a terminal or a pipe."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ("  ".join(f.ljust(w) for f, w in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines)


def reasons(cells: Sequence[Cell]) -> list[str]:
    """Why what is unavailable is so; a reason shared by several Pythons once."""
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


def to_json(cell: Cell, standing: str, audit: str | None) -> dict[str, object]:
    """A cell as JSON values; `unavailable` is null, or the reason."""
    return {
        "env": cell.env,
        "platform": str(cell.platform),
        "stack": cell.stack,
        "python": cell.python,
        "floor": {cell.platform.floor_key: cell.floor},
        "default": cell.is_default,
        "unavailable": cell.unavailable,
        "lock": standing,
        "audit": audit,
        "columns": {c.name: {"specifier": c.specifier, "unavailable": c.unavailable} for c in cell.columns},
    }


def to_markdown(cells: Sequence[Cell], audits: Mapping[str, str]) -> str:
    """One row for each stack, newest first: what each platform offers, for which Pythons, and its audit."""
    stacks: dict[str, list[Cell]] = {}
    for cell in sorted(cells, key=newness, reverse=True):
        stacks.setdefault(cell.stack, []).append(cell)
    platforms = [p for p in Platform if any(cell.platform is p for cell in cells)]
    lines = [
        "| stack | " + " | ".join(platforms) + " | Keras | NumPy |",
        "|---|" + "---|" * (len(platforms) + 2),
    ]
    for stack, members in stacks.items():
        fields = [_markdown_field([c for c in members if c.platform is p], audits) for p in platforms]
        fields += [_shared_field(members, name) for name in ("keras", "numpy")]
        lines.append(f"| **{stack}** | " + " | ".join(fields) + " |")
    return "\n".join(lines)


def _shared_field(cells: Sequence[Cell], name: str) -> str:
    """What the stack says of a column, wherever it says different things."""
    return _escaped("<br>".join(dict.fromkeys(short(cell.column(name)) for cell in cells)))


def _markdown_field(cells: Sequence[Cell], audits: Mapping[str, str]) -> str:
    usable = sorted((c for c in cells if c.unavailable is None), key=lambda c: parse_release(c.python))
    if not usable:
        reason = next((c.unavailable for c in cells if c.unavailable), "")
        return f"unavailable: {_escaped(reason)}" if reason else "not offered"
    newest = usable[-1]
    parts = [f"{newest.tensorflow.name} {short(newest.tensorflow)}"]
    parts += [
        f"{short(cell.tensorflow)} on Python {cell.python}"
        for cell in usable
        if cell.tensorflow.specifier != newest.tensorflow.specifier
    ]
    for label, name in (("Metal", "tensorflow-metal"), ("TF I/O", "tensorflow-io")):
        having = [c for c in usable if _has(c, name)]
        if having:
            only = "" if len(having) == len(usable) else f" (Python {_span(having)})"
            parts.append(f"{label} {short(having[-1].column(name))}{only}")
        elif any(c.column(name) for c in usable):
            parts.append(f"no {label}")
    parts.append(f"Python {_span(usable)}")
    parts += [f"Python {c.python} unavailable: {c.unavailable}" for c in cells if c.unavailable is not None]
    parts.append(f"{newest.platform.floor_label} {newest.floor}+")
    verdicts = [audits[c.name].partition(",")[0] for c in usable if c.name in audits]
    if verdicts:
        counts = {word: verdicts.count(word) for word in dict.fromkeys(verdicts)}
        alone = len(counts) == 1
        parts.append("audit: " + ", ".join(word if alone else f"{n} {word}" for word, n in counts.items()))
    return _escaped("<br>".join(parts))


def _span(cells: Sequence[Cell]) -> str:
    pythons = [cell.python for cell in cells]
    minors = [parse_release(python)[1] for python in pythons]
    gapless = minors == list(range(minors[0], minors[-1] + 1))
    return f"{pythons[0]} to {pythons[-1]}" if gapless and len(pythons) > 1 else ", ".join(pythons)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<!--", "&lt;!--")


def has_table(text: str) -> bool:
    """Whether a document has a place for the table."""
    return _BLOCK.search(text) is not None


def with_table(text: str, cells: Sequence[Cell], audits: Mapping[str, str]) -> str:
    """The document with its table written anew between the markers."""
    block = f"{BEGIN}\n\n{to_markdown(cells, audits)}\n\n{END}"
    return _BLOCK.sub(lambda _: block, text)
