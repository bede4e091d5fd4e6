"""The page of answers as Markdown: the same contract and evidence give the same bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from metalock import markdown
from metalock.answers.measurements import evidence_lines, hosts_of, measured_lines, speed_verdict
from metalock.answers.model import State, Track, TriedEnvironment, label, track_of
from metalock.answers.questions import Claim, Question
from metalock.answers.sentences import EXPECTED, sentence, verdict
from metalock.evidence.contract import Capability
from metalock.platforms import Platform

NAMES = {
    Platform.LINUX_64: "Linux",
    Platform.OSX_ARM64: "Apple silicon",
    Platform.OSX_64: "Intel Macs",
}
"""In the order of the page: what runs everywhere first."""
HEAD = """\
# What works in which TensorFlow

Made by `metalock answers --update docs/answers.md` from [the contract](../src/metalock/evidence/capabilities)
and from what was observed when locked environments were built and tried: change nothing here by hand.
If a run contradicts a common claim, this page says so.
The sentences are about the versions that were tried, and about those between them if the contract agrees.
The tables show which were tried.

| field | means |
|---|---|
| ✔ | tried, and it works |
| unsupported, broken | tried: not in this version; in it, but wrong. In both cases as the contract says |
| unexpected | tried, and the outcome is not what the contract says |
| *unsupported*, *broken* | not tried; the contract says so, with its source |
| not verified | it could not be tried on that machine, for example because it has no GPU |
| not tried | no evidence for the present lock |
| by Python | not the same on every Python; the text above the table says which |
| - | not offered there, or it needs a package that is not there |
"""


def page(
    questions: Sequence[Question],
    capabilities: Sequence[Capability],
    environments: Sequence[TriedEnvironment],
) -> str:
    """Return the page; `environments` oldest first."""
    asked = list(_asked(questions, capabilities))
    lines = [HEAD]
    lines += [f"- [{markdown.prose(question.text)}](#{_anchor(question.text)})" for question, _ in asked]
    lines += ["", "## What this page is based on", "", *evidence_lines(environments, NAMES), ""]
    for question, concerned in asked:
        lines += _section(question, concerned, environments)
    return "\n".join(lines).rstrip() + "\n"


def _asked(
    questions: Sequence[Question], capabilities: Sequence[Capability]
) -> Iterator[tuple[Question, list[Capability]]]:
    """Yield common questions first, then the contract's own in its order."""
    for question in questions:
        yield question, [capability for capability in capabilities if question.concerns(capability)]
    known = {question.text for question in questions}
    for text in dict.fromkeys(capability.question for capability in capabilities):
        if text not in known:
            yield Question(text=text), [c for c in capabilities if c.question == text]


def _anchor(heading: str) -> str:
    """Return the name by which GitHub links the heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _section(
    question: Question, capabilities: Sequence[Capability], environments: Sequence[TriedEnvironment]
) -> Iterator[str]:
    yield from (f"## {markdown.prose(question.text)}", "")
    tracks = {
        platform: [t for c in capabilities if (t := track_of(c, platform, environments)).stacks]
        for platform in NAMES
    }
    tried = {name for own in tracks.values() for t in own if t.is_tried for name in _names(t.capability)}
    if question.answer and (question.carried_by in tried or not question.carried_by):
        yield from (question.answer, "")
    for claim in question.claims:
        words = _decided(claim, tracks[Platform.LINUX_64], environments)
        yield f"- Common claim: {markdown.prose(claim.text)} **{words}**"
    if question.claims:
        yield ""
    if not capabilities:
        yield from ("Nothing in the contract tries this yet.", "")
    for platform, name in NAMES.items():
        if any(track.is_tried for track in tracks[platform]):
            yield from _platform(tracks[platform], name, environments)
    untried = {
        name: own for p, name in NAMES.items() if (own := tracks[p]) and not any(t.is_tried for t in own)
    }
    yield from _untried(untried)
    yield from measured_lines(capabilities, environments, NAMES)
    if question.pages:
        more = ", ".join(f"[{text}]({path})" for text, path in question.pages.items())
        yield from (f"More: {more}.", "")


def _decided(claim: Claim, tracks: Sequence[Track], environments: Sequence[TriedEnvironment]) -> str:
    """Return what the runs on Linux say about the claim."""
    name = NAMES[Platform.LINUX_64]
    if claim.slower:
        return speed_verdict(claim, [p for p in environments if p.platform is Platform.LINUX_64], name)
    track = next((t for t in tracks if claim.decided_by in _names(t.capability)), None)
    return verdict(claim, track, name)


def _names(capability: Capability) -> tuple[str, str]:
    return capability.name, capability.key


def _platform(tracks: Sequence[Track], name: str, environments: Sequence[TriedEnvironment]) -> Iterator[str]:
    """Yield what is known on one platform: the answer, the table, what differs, and what it is based on."""
    tried = [track for track in tracks if track.is_tried]
    keys = {track.capability.key for track in tracks}
    behind = [p for p in environments if p.platform is tracks[0].platform and keys & p.results.keys()]
    yield from (f"**{name}**: {_short_answer(tried)}", "")
    differing = [
        f"- {_claim(track.capability)}: {sentence(track)}" for track in tried if not _always_works(track)
    ]
    if differing and len(tracks) > 1:
        yield from (*differing, "")
    yield from (*_table(tried, environments), "")
    skipped = [track for track in tracks if not track.is_tried]
    if skipped:
        claims = "; ".join(_claim(track.capability) for track in skipped)
        yield from (f"Not verified on {name}: {claims}.", "")
        yield from _expected(skipped)
    plural = "" if len(behind) == 1 else "s"
    yield from (f"Based on {len(behind)} environment{plural} on {hosts_of(behind)}.", "")


def _short_answer(tracks: Sequence[Track]) -> str:
    if len({sentence(track) for track in tracks}) == 1:
        text = sentence(tracks[0])
        every = "both" if len(tracks) == 2 else f"all {len(tracks)}"  # noqa: PLR2004 - what "both" means
        return text if len(tracks) == 1 else f"For {every} claims alike: {text}"
    always = sum(_always_works(track) for track in tracks)
    return f"{always or 'None'} of {len(tracks)} work in every version tried. The others:"


def _always_works(track: Track) -> bool:
    """Return whether it works wherever it was tried."""
    return {said.state for said in track.all if said.state.is_tried} == {State.WORKS} and track.is_plain


def _untried(tracks: Mapping[str, Sequence[Track]]) -> Iterator[str]:
    """Yield the platforms without any outcome, those of which nothing else is known in one line."""
    alike: dict[str, list[str]] = {}
    for name, own in tracks.items():
        expected = list(_expected(own))
        if expected:
            yield from (
                f"**{name}**: {_why_untried(own)}. What the contract expects there in particular:",
                "",
            )
            yield from expected
        else:
            alike.setdefault(_why_untried(own), []).append(name)
    for words, names in alike.items():
        yield from (f"**{', '.join(names)}**: {words}.", "")


def _why_untried(tracks: Sequence[Track]) -> str:
    if any(said.state is State.SKIPPED for track in tracks for said in track.all):
        return "not verified"
    return "not tried on a Mac" if tracks[0].platform.is_macos else "not tried"


def _expected(tracks: Sequence[Track]) -> Iterator[str]:
    """Yield what the contract says about this platform or device in particular."""
    own = [track for track in tracks if _is_particular(track)]
    for track in own:
        yield f"- {_claim(track.capability)}: {sentence(track, only=EXPECTED)}"
    if own:
        yield ""


def _is_particular(track: Track) -> bool:
    return any(
        said.state in EXPECTED and {"platform", "device", "tensorflow-metal"} & said.expectation.when.keys()
        for said in track.all
    )


def _table(tracks: Sequence[Track], environments: Sequence[TriedEnvironment]) -> Iterator[str]:
    having = {stack for track in tracks for stack in track.stacks}
    oldest_first = dict.fromkeys(place.stack for place in environments if place.stack in having)
    stacks = list(oldest_first)[::-1]
    yield "| TensorFlow | " + " | ".join(markdown.cell(label(stack)) for stack in stacks) + " |"
    yield "|---|" + "---|" * len(stacks)
    for track in tracks:
        marks = " | ".join(_mark(track, stack) for stack in stacks)
        yield f"| {markdown.in_table(_claim(track.capability))} | {marks} |"


def _mark(track: Track, stack: str) -> str:
    states = {said.state for said in track.stacks.get(stack, {}).values()}
    if not states:
        return "-"
    tried = {state for state in states if state.is_tried}
    return (tried or states).pop() if len(tried or states) == 1 else "by Python"


def _claim(capability: Capability) -> str:
    """Return the claim as Markdown, with the device that it is tried on."""
    device = f" (on the {capability.device.upper()})" if capability.device else ""
    return markdown.prose(f"{capability.claim}{device}")
