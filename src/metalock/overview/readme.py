"""The README's table between two HTML comments: one row per stack, with how it was tested."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from metalock import markdown
from metalock.matrix.model import Cell
from metalock.overview.query import EnvStatus, has, newness, short
from metalock.platforms import Platform, parse_release

BEGIN, END = "<!-- metalock:table -->", "<!-- /metalock:table -->"
_BLOCK = re.compile(f"{re.escape(BEGIN)}\n.*?{re.escape(END)}", re.DOTALL)


def to_markdown(cells: Sequence[Cell], known: Mapping[str, EnvStatus]) -> str:
    """Return one row for each stack, newest first: what each platform offers, and how it was tested."""
    stacks: dict[str, list[Cell]] = {}
    for cell in sorted(cells, key=newness, reverse=True):
        stacks.setdefault(cell.stack, []).append(cell)
    platforms = [p for p in Platform if any(cell.platform is p for cell in cells)]
    lines = [
        "| stack | " + " | ".join(platforms) + " | Keras | NumPy |",
        "|---|" + "---|" * (len(platforms) + 2),
    ]
    for stack, members in stacks.items():
        fields = [_field([c for c in members if c.platform is p], known) for p in platforms]
        fields += [_shared_field(members, name) for name in ("keras", "numpy")]
        lines.append(f"| **{markdown.cell(stack)}** | " + " | ".join(fields) + " |")
    return "\n".join(lines)


def _shared_field(cells: Sequence[Cell], name: str) -> str:
    """Return each specifier of the column within the stack once."""
    return "<br>".join(dict.fromkeys(markdown.cell(short(cell.column(name))) for cell in cells))


def _field(cells: Sequence[Cell], known: Mapping[str, EnvStatus]) -> str:
    usable = sorted((c for c in cells if c.unavailable is None), key=lambda c: parse_release(c.python))
    if not usable:
        reason = next((c.unavailable for c in cells if c.unavailable), "")
        return f"unavailable: {markdown.prose_cell(reason)}" if reason else "not offered"
    newest = usable[-1]
    parts = [f"{newest.tensorflow.name} {short(newest.tensorflow)}"]
    parts += [
        f"{short(cell.tensorflow)} on Python {cell.python}"
        for cell in usable
        if cell.tensorflow.specifier != newest.tensorflow.specifier
    ]
    for label, name in (("Metal", "tensorflow-metal"), ("TF I/O", "tensorflow-io")):
        having = [c for c in usable if has(c, name)]
        if having:
            only = "" if len(having) == len(usable) else f" (Python {_span(having)})"
            parts.append(f"{label} {short(having[-1].column(name))}{only}")
        elif any(c.column(name) for c in usable):
            parts.append(f"no {label}")
    parts.append(f"Python {_span(usable)}")
    parts += [f"Python {c.python} unavailable: {c.unavailable}" for c in cells if c.unavailable is not None]
    parts.append(f"{newest.platform.floor_label} {newest.floor}+")
    found = [known[cell.name] for cell in usable if cell.name in known]
    parts += _counted("audit", [status.audit.short for status in found])
    parts += _counted("smoke", [status.trial.short for status in found])
    return "<br>".join(markdown.prose_cell(part) for part in parts)


def _counted(label: str, words: Sequence[str]) -> list[str]:
    """Return the word that holds for all, or each with its number; nothing for no words."""
    counts = {word: words.count(word) for word in dict.fromkeys(words)}
    shown = [word if len(counts) == 1 else f"{count} {word}" for word, count in counts.items()]
    return [f"{label}: {', '.join(shown)}"] if shown else []


def _span(cells: Sequence[Cell]) -> str:
    pythons = [cell.python for cell in cells]
    minors = [parse_release(python)[1] for python in pythons]
    gapless = minors == list(range(minors[0], minors[-1] + 1))
    return f"{pythons[0]} to {pythons[-1]}" if gapless and len(pythons) > 1 else ", ".join(pythons)


def has_table(text: str) -> bool:
    """Return whether a document has a place for the table."""
    return _BLOCK.search(text) is not None


def with_table(text: str, cells: Sequence[Cell], known: Mapping[str, EnvStatus]) -> str:
    """Return the document with its table replaced between the markers."""
    block = f"{BEGIN}\n\n{to_markdown(cells, known)}\n\n{END}"
    return _BLOCK.sub(lambda _: block, text)
