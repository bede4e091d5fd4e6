"""What is known of a capability, in sentences: from which version on it works, and what to use else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from metalock.answers.model import Said, State, Track, label, span
from metalock.smoke.contract import Expected
from metalock.smoke.questions import Claim

ERROR_LENGTH = 200
"""Characters of an error that the page repeats."""
REPOSITORIES = {
    "tensorflow": "tensorflow/tensorflow",
    "keras": "keras-team/keras",
    "tf-keras": "keras-team/tf-keras",
    "numpy": "numpy/numpy",
    "io": "tensorflow/io",
}
"""Of sources that name a project without its owner."""
_SOURCE = re.compile(r"(?:([A-Za-z0-9_.-]+)/)?([A-Za-z0-9_.-]+)#(\d+)")
_PREDICATES = {
    State.WORKS: "it works",
    State.ABSENT: "it is absent",
    State.BROKEN: "it is broken",
    State.UNEXPECTED: "it comes out other than the contract says",
    State.EXPECTED_ABSENT: "it is expected to be absent, not tried",
    State.EXPECTED_BROKEN: "it is expected to be broken, not tried",
    State.SKIPPED: "it could not be verified here",
    State.UNTRIED: "it was not tried",
}
EXPECTED = (State.EXPECTED_ABSENT, State.EXPECTED_BROKEN)
_VERDICTS = {True: "holds in", False: "does not hold in"}
_BY_PYTHON = "depends on the Python in"
_HOLDS = {Expected.WORKS: State.WORKS, Expected.ABSENT: State.ABSENT, Expected.BROKEN: State.BROKEN}


def line(text: str, length: int = ERROR_LENGTH) -> str:
    """The first line, shortened."""
    first = (text.strip().splitlines() or [""])[0].strip()
    return first if len(first) <= length else f"{first[: length - 1].rstrip()}…"


def code(text: str) -> str:
    """A line as code, whatever backquotes are in it.

    >>> code("No module named `x`")
    '`` No module named `x` ``'
    """
    shown = line(text)
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {shown} {fence}" if longest else f"`{shown}`"


def source_link(source: str) -> str:
    """The source with a link to each issue that it names.

    >>> source_link("keras#1, a forum")
    '[keras#1](https://github.com/keras-team/keras/issues/1), a forum'
    """

    def link(found: re.Match[str]) -> str:
        owner, project, number = found.groups()
        repository = f"{owner}/{project}" if owner else REPOSITORIES.get(project)
        address = f"https://github.com/{repository}/issues/{number}"
        return f"[{found[0]}]({address})" if repository else found[0]

    return _SOURCE.sub(link, source)


def sentence(track: Track, only: Sequence[State] = tuple(State)) -> str:
    """From which version to which it is what, oldest first; errors, causes and substitutes with it."""
    return " ".join(f"{text[:1].upper()}{text[1:]}" for text in _segments(track, only))


def _segments(track: Track, only: Sequence[State]) -> Iterator[str]:
    """What is said of neighbouring versions alike, where one of those states is among it."""
    order = [label(stack) for stack in track.stacks]
    found: list[tuple[tuple[object, ...], list[str], Mapping[str, Said]]] = []
    for stack, pythons in track.stacks.items():
        keys = {python: said.key for python, said in pythons.items()}
        distinct = set(keys.values())
        key: tuple[object, ...] = (*distinct,) if len(distinct) == 1 else (*keys.items(),)
        if found and found[-1][0] == key:
            found[-1] = (key, [*found[-1][1], label(stack)], pythons)
        else:
            found.append((key, [label(stack)], pythons))
    for index, (_, stacks, pythons) in enumerate(found):
        where = _where(stacks, order, is_last=index == len(found) - 1)
        if any(said.state in only for said in pythons.values()):
            yield f"{where} {_said_by_python(pythons)}"


def _where(stacks: Sequence[str], order: Sequence[str], *, is_last: bool) -> str:
    if len(stacks) == 1:
        return f"in TensorFlow {stacks[0]}"
    if is_last and len(stacks) < len(order):
        return f"from TensorFlow {stacks[0]} on"
    return f"from TensorFlow {stacks[0]} to {stacks[-1]}"


def _said_by_python(pythons: Mapping[str, Said]) -> str:
    groups: dict[tuple[str, ...], list[str]] = {}
    for python, said in pythons.items():
        groups.setdefault(said.key, []).append(python)
    told = [
        f"{_PREDICATES[pythons[found[-1]].state]}{_on(found, pythons) if len(groups) > 1 else ''}"
        f"{_details(pythons[found[-1]])}"
        for found in groups.values()
    ]
    return " ".join([told[0], *(f"{text[:1].upper()}{text[1:]}" for text in told[1:])])


def _on(found: Sequence[str], pythons: Mapping[str, Said]) -> str:
    return f" on Python {span(found, list(pythons))}"


def _details(said: Said) -> str:
    """What is to be said of anything but working, up to the full stop."""
    if said.state in (State.WORKS, State.UNTRIED, State.SKIPPED):
        return "."
    text = f": {code(said.error)}." if said.error else "."
    if said.state is State.UNEXPECTED:
        return text
    told = said.expectation
    parts = [("Cause", told.why), ("Instead", _usage(told.instead)), ("Source", source_link(told.source))]
    return text + "".join(f" {name}: {part.rstrip('.')}." for name, part in parts if part)


def _usage(instead: str) -> str:
    """As it stands where it is marked up or a sentence, else as code."""
    return instead if not instead or "`" in instead or " " in instead else f"`{instead}`"


def verdict(claim: Claim, track: Track | None, name: str) -> str:
    """Whether what people say holds, by the runs on the platform of that name."""
    if track is None or not track.is_tried:
        return "Not tried yet, so nothing is said of it."
    found: dict[str, list[str]] = {words: [] for words in (*_VERDICTS.values(), _BY_PYTHON)}
    for stack, pythons in track.stacks.items():
        right = {said.state is _HOLDS[claim.holds_if] for said in pythons.values() if said.state.is_tried}
        if right:
            words = _VERDICTS[right == {True}] if len(right) == 1 else _BY_PYTHON
            found[words].append(stack)
    order = [label(stack) for stack in track.stacks]
    told = [
        f"{words} TensorFlow {span([label(stack) for stack in stacks], order)}"
        for words, stacks in found.items()
        if stacks
    ]
    text = ", ".join(told)
    every = " (every version that was tried)" if len(told) == 1 else ""
    return f"On {name} it {text}{every}."
