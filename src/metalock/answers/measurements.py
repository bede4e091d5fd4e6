"""What an answer is based on: how many environments, on which machines, and what was measured there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from metalock import markdown
from metalock.answers.model import TriedEnvironment, label, span
from metalock.answers.questions import Claim
from metalock.evidence.contract import Capability
from metalock.evidence.model import Evidence, Outcome
from metalock.platforms import Platform

WHOLE_FROM = 100


def evidence_lines(environments: Sequence[TriedEnvironment], names: Mapping[Platform, str]) -> Iterator[str]:
    """Yield a table with a row for each platform."""
    yield "| platform | environments tried | by | on | days | unexpected results |"
    yield "|---|---|---|---|---|---|"
    for platform, name in names.items():
        own = [place for place in environments if place.platform is platform]
        runs = _runs(own)
        if not runs:
            yield f"| {name} | none of {len(own)}{', nothing on a Mac' * platform.is_macos} | - | - | - | - |"
            continue
        backends = [run.backend for run in runs]
        by = markdown.cell(", ".join(f"{backends.count(name)} {name}" for name in sorted(set(backends))))
        days = sorted({run.date for run in runs})
        when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
        surprises = sum(result.is_surprise for place in own for result in place.results.values())
        hosts = markdown.in_table(hosts_of(own))
        yield f"| {name} | {len(runs)} of {len(own)} | {by} | {hosts} | {markdown.cell(when)} | {surprises} |"


def _runs(environments: Sequence[TriedEnvironment]) -> list[Evidence]:
    return [place.evidence for place in environments if place.evidence is not None]


def hosts_of(environments: Sequence[TriedEnvironment]) -> str:
    """Return the machines as Markdown; nothing in the evidence names one."""
    return markdown.text("; ".join(sorted({run.machine for run in _runs(environments)})))


def measured_lines(
    capabilities: Sequence[Capability],
    environments: Sequence[TriedEnvironment],
    names: Mapping[Platform, str],
) -> Iterator[str]:
    """Yield a table of what the tests measured, over the environments in which they passed."""
    rows = []
    for capability in capabilities:
        for platform, name in names.items():
            own = [place for place in environments if place.platform is platform]
            for unit, places in _measured(capability, own).items():
                rows.append(_row(capability, name, unit, places))
    if rows:
        yield "| measured | platform | lowest | median | highest | TensorFlow |"
        yield "|---|---|---|---|---|---|"
        yield from rows
        machines = hosts_of([place for place in environments if place.results])
        yield from ("", f"As measured on {machines}: other machines, and busier ones, give other values.", "")


def speed_verdict(claim: Claim, environments: Sequence[TriedEnvironment], name: str) -> str:
    """Return whether one of two measured speeds is the smaller, and by how much, on one platform."""
    slower, faster = claim.slower
    found = [_numbers(claim.decided_by, place) for place in environments]
    ratios = [values[slower] / values[faster] for values in found if slower in values and values.get(faster)]
    if not ratios:
        return "Not measured yet, so nothing is known of it."
    held = sum(ratio < 1 for ratio in ratios)
    middle, least, most = (_number(value) for value in (median(ratios), min(ratios), max(ratios)))
    of = f"{held} of {len(ratios)} environments"
    return f"On {name} it holds in {of}: {middle} times the speed in the median, {least} to {most}."


def _measured(
    capability: Capability, environments: Sequence[TriedEnvironment]
) -> dict[str, list[tuple[TriedEnvironment, float]]]:
    """Return, by name with unit, the numbers among the values, and where each is from."""
    found: dict[str, list[tuple[TriedEnvironment, float]]] = {}
    for place in environments:
        for name, value in _numbers(capability.key, place).items():
            found.setdefault(name, []).append((place, value))
    return found


def _numbers(key: str, place: TriedEnvironment) -> dict[str, float]:
    """Return what a capability measured there, if it works."""
    result = place.results.get(key)
    if result is None or result.outcome is not Outcome.WORKS:
        return {}
    return {
        name: float(value)
        for name, value in result.observation.values.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def _row(
    capability: Capability, platform: str, unit: str, places: Sequence[tuple[TriedEnvironment, float]]
) -> str:
    numbers = [number for _, number in places]
    stacks = list(dict.fromkeys(label(place.stack) for place, _ in places))
    shown = [_number(value) for value in (min(numbers), median(numbers), max(numbers))]
    device = f", {capability.device.upper()}" if capability.device else ""
    what = markdown.prose_cell(f"{capability.claim}: {unit.replace('_', ' ')}{device}")
    fields = [what, platform, *shown, markdown.cell(span(stacks, stacks))]
    return f"| {' | '.join(fields)} |"


def _number(value: float) -> str:
    """Return a number with three digits: a measurement has no more.

    >>> _number(1234.5), _number(0.000012345), _number(3)
    ('1234', '1.23e-05', '3')
    """
    return str(round(value)) if abs(value) >= WHOLE_FROM else f"{value:.3g}"
