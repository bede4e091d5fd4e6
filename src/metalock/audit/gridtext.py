"""A grid for people: a table in colour, and a page of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from metalock import markdown
from metalock.audit.grid import GridEntry, GridVerdict
from metalock.audit.reports import optional_reason

SHOWN = 6
"""Names that a page lists of one failure before it counts the rest."""
INTRODUCTION = (
    "Read from the wheels' own binaries, without a Mac: **loads** means that every library that the",
    "plugin links is found, and that every symbol that it takes from TensorFlow is exported. It does not",
    "mean that it runs, or computes rightly: a platform id that isn't registered, a crash in a call or",
    "wrong numbers can't be seen this way ([more](../audit.md)). `-`: no wheels for the same Python on this",
    "platform. `?`: something could not be read. Releases before TensorFlow 2.6 and pre-releases are left",
    "out. Parts that a plugin loads on demand, or never, don't count for the table; they are counted below.",
)
Rows = dict[tuple[str, str], dict[str, list[GridEntry]]]


def rows_of(entries: Iterable[GridEntry]) -> Rows:
    """Return by TensorFlow, newest first, and by plugin version the entries of its libraries."""
    rows: Rows = {}
    for entry in entries:
        row = rows.setdefault((entry.tensorflow, entry.distribution), {})
        row.setdefault(entry.version, []).append(entry)
    return dict(reversed(rows.items()))


def verdict_of(entries: Sequence[GridEntry]) -> GridVerdict:
    """Return the verdict of the plugin's worst library, apart from those that it does without."""
    order = (GridVerdict.UNREADABLE, GridVerdict.FAILS, GridVerdict.NO_WHEEL, GridVerdict.LOADS)
    return min(
        (entry.verdict for entry in _required(entries)), key=order.index, default=GridVerdict.UNREADABLE
    )


def _required(entries: Sequence[GridEntry]) -> list[GridEntry]:
    return [entry for entry in entries if optional_reason(entry.plugin, entry.library) is None]


def field(entries: Sequence[GridEntry]) -> str:
    """Return `loads`, `7 missing`, `-` for no wheel, or `?`."""
    match verdict_of(entries):
        case GridVerdict.LOADS:
            return "loads"
        case GridVerdict.FAILS:
            return f"{len({name for entry in _required(entries) for name in entry.missing})} missing"
        case GridVerdict.NO_WHEEL:
            return "-"
        case GridVerdict.UNREADABLE:
            return "?"


def to_table(entries: Sequence[GridEntry]) -> str:
    """Return lines for a terminal, coloured where it takes colours."""
    versions = list(dict.fromkeys(entry.version for entry in entries))
    lines = [["TensorFlow", *versions]]
    for (tensorflow, distribution), row in rows_of(entries).items():
        lines.append([f"{tensorflow} {distribution}", *(field(row.get(version, ())) for version in versions)])
    widths = [max(len(line[i]) for line in lines) for i in range(len(versions) + 1)]
    return "\n".join(
        "  ".join(
            click.style(text.ljust(width), fg=_colour(text)) for text, width in zip(line, widths, strict=True)
        )
        for line in lines
    )


def _colour(text: str) -> str | None:
    if text == "loads":
        return "green"
    return "red" if text.endswith("missing") else "yellow" if text == "?" else None


def to_page(entries: Sequence[GridEntry], command: str) -> str:
    """Return the Markdown page: the table, then what is missing, each set of names once."""
    first = entries[0]
    rows = rows_of(entries)
    versions, older = _shown_versions(entries)
    lines = [
        f"# {markdown.text(first.plugin)} and TensorFlow on {first.platform}",
        "",
        f"Made by {markdown.code(command)}: change nothing here by hand.",
        "",
        *INTRODUCTION,
        "",
        "| TensorFlow | " + " | ".join(map(markdown.cell, versions)) + " |",
        "|---|" + "---|" * len(versions),
    ]
    for (tensorflow, distribution), row in rows.items():
        name = tensorflow if distribution == "tensorflow" else f"{tensorflow} ({distribution})"
        lines.append(
            f"| {markdown.cell(name)} | "
            + " | ".join(field(row.get(version, ())) for version in versions)
            + " |"
        )
    if older:
        lines += ["", f"Older releases load with none of these: {', '.join(map(markdown.text, older))}."]
    shown = [entry for entry in entries if entry.version in versions]
    return (
        "\n".join([*lines, "", "## What is missing", "", *_failures(_required(shown)), *_optional(shown)])
        + "\n"
    )


def _shown_versions(entries: Sequence[GridEntry]) -> tuple[list[str], list[str]]:
    """Return the releases from the first on that loads anywhere, and those before it."""
    by_version: dict[str, list[GridEntry]] = {}
    for entry in entries:
        by_version.setdefault(entry.version, []).append(entry)
    versions = list(by_version)
    loading = {e.version for e in _required(entries) if e.verdict is GridVerdict.LOADS}
    first = next((i for i, version in enumerate(versions) if version in loading), 0)
    return versions[first:], versions[:first]


def _optional(entries: Iterable[GridEntry]) -> list[str]:
    """Give the parts that are loaded on demand: how often each would, and why it may be missed."""
    counts: dict[str, list[bool]] = {}
    reasons: dict[str, str] = {}
    for entry in entries:
        reason = optional_reason(entry.plugin, entry.library)
        if reason is not None:
            reasons[entry.library] = reason
            counts.setdefault(entry.library, []).append(entry.verdict is GridVerdict.LOADS)
    if not counts:
        return []
    lines = [
        f"- {markdown.code(path)}, {markdown.prose(reasons[path])}: loads with {sum(found)} of {len(found)}"
        for path, found in sorted(counts.items())
    ]
    return ["", "## Parts that are loaded on demand, or never", "", *lines]


def _failures(entries: Iterable[GridEntry]) -> list[str]:
    failing = [entry for entry in entries if entry.verdict is GridVerdict.FAILS]
    sets: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for entry in failing:
        sets.setdefault((entry.version, entry.library, entry.missing), []).append(entry.tensorflow)
    lines = []
    for (version, library, missing), tensorflows in sets.items():
        others = ", ".join(map(markdown.text, dict.fromkeys(tensorflows)))
        lines.append(f"**{markdown.text(version)}**, {markdown.code(library)}, with TensorFlow {others}:")
        lines.append("")
        lines += [f"- {markdown.code(name)}" for name in missing[:SHOWN]]
        if len(missing) > SHOWN:
            lines.append(f"- and {len(missing) - SHOWN} more")
        lines.append("")
    return lines[:-1] if lines else ["Nothing, in all that could be read."]
