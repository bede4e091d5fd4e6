"""What is known of a capability, in sentences: the versions in which it works, and what to use instead."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from metalock.answers.model import Said, State, Track, label, span
from metalock.answers.questions import Claim
from metalock.evidence.contract import Expected
from metalock.markdown import code, inline, prose
from metalock.untrusted import one_line

ERROR_LENGTH = 200
"""Characters of an error that the page repeats."""
REPOSITORIES = {
    "tensorflow": "tensorflow/tensorflow",
    "keras": "keras-team/keras",
    "tf-keras": "keras-team/tf-keras",
    "numpy": "numpy/numpy",
    "io": "tensorflow/io",
}
"""Repositories of sources that name a project without its owner."""
_SOURCE = re.compile(r"(?:([A-Za-z0-9][A-Za-z0-9-]*)/)?([A-Za-z0-9_.-]+)#([0-9]{1,9})")
_PREDICATES = {
    State.WORKS: "it works",
    State.UNSUPPORTED: "it is unsupported",
    State.BROKEN: "it is broken",
    State.UNEXPECTED: "its outcome is not what the contract says",
    State.EXPECTED_UNSUPPORTED: "it is expected to be unsupported, not tried",
    State.EXPECTED_BROKEN: "it is expected to be broken, not tried",
    State.SKIPPED: "it could not be verified here",
    State.UNTRIED: "it was not tried",
}
_TRIED = {
    State.EXPECTED_UNSUPPORTED: State.UNSUPPORTED,
    State.EXPECTED_BROKEN: State.BROKEN,
    State.UNTRIED: State.WORKS,
    State.SKIPPED: State.WORKS,
}
"""What a state is written as once the capability was tried in another environment."""
EXPECTED = (State.EXPECTED_UNSUPPORTED, State.EXPECTED_BROKEN)
_VERDICTS = {True: "holds in", False: "does not hold in"}
_BY_PYTHON = "depends on the Python in"
_HOLDS = {Expected.WORKS: State.WORKS, Expected.UNSUPPORTED: State.UNSUPPORTED, Expected.BROKEN: State.BROKEN}


def line(text: str) -> str:
    """Return the first line, shortened."""
    return one_line(text.strip().partition("\n")[0], ERROR_LENGTH)


def source_link(source: str) -> str:
    """Return the source as Markdown, with a link to each issue that it names.

    >>> source_link("keras#1, a forum")
    '[keras#1](https://github.com/keras-team/keras/issues/1), a forum'
    """
    parts, end = [], 0
    shown = one_line(source)
    for found in _SOURCE.finditer(shown):
        owner, project, number = found.groups()
        repository = f"{owner}/{project}" if owner else REPOSITORIES.get(project)
        if repository:
            address = f"https://github.com/{repository}/issues/{number}"
            parts += [inline(shown[end : found.start()]), f"[{inline(found[0])}]({address})"]
            end = found.end()
    return "".join([*parts, inline(shown[end:])])


def sentence(track: Track, only: Sequence[State] = tuple(State)) -> str:
    """Return the states by ranges of versions, oldest first, with errors, causes and substitutes."""
    return " ".join(f"{text[:1].upper()}{text[1:]}" for text in _segments(track, only))


def _segments(track: Track, only: Sequence[State]) -> Iterator[str]:
    """Yield one sentence for neighbouring versions with the same states, if any of those is in `only`.

    A version, or a Python of it, that was not tried is part of the sentence about its neighbours if the
    contract says the same of it: the table shows which were tried.
    """
    order = [label(stack) for stack in track.stacks]
    found: list[tuple[tuple[object, ...], list[str], dict[str, list[Said]]]] = []
    for stack, pythons in track.stacks.items():
        keys = {python: _key(said, track) for python, said in pythons.items()}
        alike = len(set(keys.values())) == 1
        key: tuple[object, ...] = next(iter(keys.values())) if alike else (*keys.items(),)
        if not found or found[-1][0] != key:
            found.append((key, [], {}))
        found[-1][1].append(label(stack))
        for python, said in pythons.items():
            found[-1][2].setdefault(python, []).append(said)
    for index, (_, stacks, pythons_of) in enumerate(found):
        where = _where(stacks, order, is_last=index == len(found) - 1)
        if any(said.state in only for own in pythons_of.values() for said in own):
            yield f"{where} {_said_by_python(pythons_of, track)}"


def _key(said: Said, track: Track) -> tuple[str, ...]:
    """Return a key that is equal where one sentence is about both."""
    return said.key if not track.is_tried else replace(said, state=_TRIED.get(said.state, said.state)).key


def _where(stacks: Sequence[str], order: Sequence[str], *, is_last: bool) -> str:
    if len(stacks) == 1:
        return f"in TensorFlow {inline(stacks[0])}"
    if is_last and len(stacks) < len(order):
        return f"from TensorFlow {inline(stacks[0])} on"
    return f"from TensorFlow {inline(stacks[0])} to {inline(stacks[-1])}"


def _said_by_python(pythons: Mapping[str, Sequence[Said]], track: Track) -> str:
    groups: dict[tuple[str, ...], list[str]] = {}
    for python, own in pythons.items():
        groups.setdefault(_key(own[-1], track), []).append(python)
    sentences = []
    for found in groups.values():
        said = _best([said for python in found for said in pythons[python]])
        on = f" on Python {inline(span(found, list(pythons)))}" if len(groups) > 1 else ""
        sentences.append(f"{_PREDICATES[said.state]}{on}{_details(said)}")
    first, *others = sentences
    return " ".join([first, *(f"{text[:1].upper()}{text[1:]}" for text in others)])


def _best(alike: Sequence[Said]) -> Said:
    """Return the newest that was tried, else the newest."""
    return next((said for said in reversed(alike) if said.state.is_tried), alike[-1])


def _details(said: Said) -> str:
    """Return the error, cause, substitute and source of what does not work, up to the full stop."""
    if said.state in (State.WORKS, State.UNTRIED, State.SKIPPED):
        return "."
    text = f": {code(line(said.error))}." if said.error else "."
    if said.state is State.UNEXPECTED:
        return text
    e = said.expectation
    parts = [("Cause", prose(e.why)), ("Instead", _usage(e.instead)), ("Source", source_link(e.source))]
    return text + "".join(f" {name}: {part.rstrip('.')}." for name, part in parts if part)


def _usage(instead: str) -> str:
    """Return prose for a sentence or what has code in it, else code."""
    return prose(instead) if "`" in instead or " " in instead else code(instead)


def verdict(claim: Claim, track: Track | None, name: str) -> str:
    """Return whether a common claim holds, by the runs on the platform of that name."""
    if track is None or not track.is_tried:
        return "Not tried yet, so nothing is known of it."
    found: dict[str, list[str]] = {words: [] for words in (*_VERDICTS.values(), _BY_PYTHON)}
    for stack, pythons in track.stacks.items():
        right = {said.state is _HOLDS[claim.holds_if] for said in pythons.values() if said.state.is_tried}
        if right:
            words = _VERDICTS[right == {True}] if len(right) == 1 else _BY_PYTHON
            found[words].append(stack)
    order = [label(stack) for stack in track.stacks]
    parts = [
        f"{words} TensorFlow {inline(span([label(stack) for stack in stacks], order))}"
        for words, stacks in found.items()
        if stacks
    ]
    text = ", ".join(parts)
    every = " (every version that was tried)" if len(parts) == 1 else ""
    return f"On {name} it {text}{every}."
