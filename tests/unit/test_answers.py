"""answers: what the page says, from a contract and evidence made up for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import filter as filter_names
from pathlib import Path

import pytest

from metalock.answers.measurements import speed_verdict
from metalock.answers.model import State, Track, TriedEnvironment, label, span, track_of
from metalock.answers.page import page
from metalock.answers.questions import Claim, Question, own_questions, parse_questions
from metalock.answers.sentences import line, sentence, source_link, verdict
from metalock.errors import DataFileError
from metalock.evidence.contract import Capability, Expected, Situation, contract, parse_contract
from metalock.evidence.model import Evidence, Observation, Observed, Result
from metalock.markdown import code
from metalock.platforms import Platform, parse_release
from metalock.workspace import open_workspace

ROOT = Path(__file__).parents[2]

GONE = "ModuleNotFoundError: No module named 'keras.preprocessing.image'"
CONTRACT = """
[[capability]]
name = "images.keras-import"
question = "Why does the import of ImageDataGenerator fail?"
claim = "`from keras.preprocessing.image import ImageDataGenerator` works"
[[capability.expect]]
when = { tensorflow = ">=2.13" }
outcome = "unsupported"
error = "No module named 'keras.preprocessing.image'"
instead = "tf.keras.preprocessing.image"
why = "Keras 3 has no such module."
source = "keras#1, tensorflow#2"

[[capability]]
name = "images.flow"
question = "Why does the import of ImageDataGenerator fail?"
claim = "`flow` yields batches | and images"

[[capability]]
name = "images.relu"
question = "Are the numbers of my GPU right?"
claim = "relu clips at zero"
devices = true
[[capability.expect]]
when = { platform = "osx-arm64", device = "gpu", tensorflow = ">=2.13,<2.16" }
outcome = "broken"
error = "on gpu, graph"
source = "tensorflow#62137"
why = "The fused kernel leaves out the relu."
"""
CAPABILITIES = parse_contract(CONTRACT, "images")
IMPORT, FLOW, _, RELU_GPU = CAPABILITIES
STACKS = {"tf2.9": "2.9.3", "tf2.13": "2.13.1", "tf2.18": "2.18.1"}
PASSED = Observation(name="", observed=Observed.PASSED)
RAISED = Observation(name="", observed=Observed.RAISED, error=GONE)
NO_GPU = Observation(name="", observed=Observed.SKIPPED, error="this machine shows TensorFlow no GPU")
LINUX, MAC = Platform.LINUX_64, Platform.OSX_ARM64


@dataclass(frozen=True)
class Sample:
    platform: Platform
    stack: str
    python: str
    observed: Mapping[str, Observation] = field(default_factory=dict)
    gpus: tuple[str, ...] = ()


def place(sample: Sample) -> TriedEnvironment:
    metal = {"tensorflow-metal": "1.0.0"} if sample.platform is MAC and sample.stack != "tf2.18" else {}
    versions = {"tensorflow": STACKS[sample.stack], **metal}
    situation = Situation(platform=sample.platform, python=f"{sample.python}.1", versions=versions)
    results = {
        capability.key: Result(
            capability=capability,
            expectation=capability.expected(situation),
            observation=sample.observed[capability.key],
        )
        for capability in CAPABILITIES
        if capability.key in sample.observed
    }
    host = {"system": "Debian 12", "cpu": "Xeon", "gpus": list(sample.gpus)}
    evidence = Evidence(lock="d", date="2026-11-20", backend="venv", host=host, observations=())
    return TriedEnvironment(
        stack=sample.stack,
        python=sample.python,
        platform=sample.platform,
        situation=situation,
        evidence=evidence if results else None,
        results=results,
    )


def linux(stack: str, python: str, imported: Observation, flow: Observation = PASSED) -> TriedEnvironment:
    observed = {
        "images.keras-import": imported,
        "images.flow": flow,
        "images.relu@cpu": PASSED,
        "images.relu@gpu": NO_GPU,
    }
    return place(Sample(LINUX, stack, python, observed))


def rate(value: float) -> Observation:
    return Observation(
        name="",
        observed=Observed.PASSED,
        values={"images_per_second": value, "keras": "3.5.0", "exact": True},
    )


PLACES = [
    linux("tf2.9", "3.8", PASSED, rate(100.4)),
    linux("tf2.9", "3.10", PASSED, rate(300)),
    linux("tf2.13", "3.10", RAISED, rate(12.34)),
    linux("tf2.18", "3.10", RAISED),
    linux("tf2.18", "3.11", RAISED),
    *(place(Sample(MAC, stack, "3.11")) for stack in STACKS),
]


def track(
    capability: Capability = IMPORT, platform: Platform = LINUX, places: list[TriedEnvironment] = PLACES
) -> Track:
    return track_of(capability, platform, places)


def test_a_sentence_goes_through_the_versions() -> None:
    assert sentence(track()) == (
        "In TensorFlow 2.9 it works. From TensorFlow 2.13 on it is unsupported: "
        "`ModuleNotFoundError: No module named 'keras.preprocessing.image'`. "
        "Cause: Keras 3 has no such module. Instead: `tf.keras.preprocessing.image`. "
        "Source: [keras#1](https://github.com/keras-team/keras/issues/1), "
        "[tensorflow#2](https://github.com/tensorflow/tensorflow/issues/2)."
    )
    assert sentence(track(FLOW)) == "From TensorFlow 2.9 to 2.18 it works."
    assert sentence(track(RELU_GPU)) == "From TensorFlow 2.9 to 2.18 it could not be verified here."
    assert sentence(track(IMPORT, Platform.OSX_64)) == ""


def test_what_was_not_tried_is_said_to_be_expected() -> None:
    assert sentence(track(RELU_GPU, MAC)) == (
        "In TensorFlow 2.9 it was not tried. In TensorFlow 2.13 it is expected to be broken, not tried: "
        "`on gpu, graph`. Cause: The fused kernel leaves out the relu. "
        "Source: [tensorflow#62137](https://github.com/tensorflow/tensorflow/issues/62137)."
    )


def test_pythons_may_differ() -> None:
    found = sentence(track(FLOW, places=[linux("tf2.9", "3.8", PASSED, RAISED), *PLACES[1:]]))
    assert found == (
        "In TensorFlow 2.9 its outcome is not what the contract says on Python 3.8: `expected: works; "
        f"observed: raised ({GONE})`. It works on Python 3.10. From TensorFlow 2.13 on it works."
    )


def claim(holds_if: Expected) -> Claim:
    return Claim(text="It fails.", decided_by="images.keras-import", holds_if=holds_if)


@pytest.mark.parametrize(
    ("places", "holds_if", "words"),
    [
        (
            PLACES,
            Expected.UNSUPPORTED,
            "it holds in TensorFlow 2.13 to 2.18, does not hold in TensorFlow 2.9.",
        ),
        (PLACES[:2], Expected.WORKS, "it holds in TensorFlow 2.9 (every version that was tried)."),
        (PLACES[2:3], Expected.WORKS, "it does not hold in TensorFlow 2.13 (every version that was tried)."),
        (PLACES[5:], Expected.WORKS, "Not tried yet, so nothing is known of it."),
        (
            [linux("tf2.18", "3.9", PASSED), *PLACES[2:]],
            Expected.UNSUPPORTED,
            "it holds in TensorFlow 2.13, depends on the Python in TensorFlow 2.18.",
        ),
    ],
)  # fmt: skip
def test_the_run_decides_what_people_say(
    places: list[TriedEnvironment], holds_if: Expected, words: str
) -> None:
    ordered = sorted(places, key=lambda place: list(STACKS).index(place.stack))
    assert verdict(claim(holds_if), track(places=ordered), "Linux").removeprefix("On Linux ") == words


def test_measured_speeds_decide_too() -> None:
    said = Claim(text="It is slow.", decided_by="images.flow", slower=("mine", "theirs"))
    places = [
        linux("tf2.9", "3.8", PASSED, Observation(name="", observed=Observed.PASSED, values=values))
        for values in ({"mine": 10, "theirs": 40}, {"mine": 30, "theirs": 20}, {"mine": 5, "theirs": 10}, {})
    ]
    assert speed_verdict(said, places, "Linux") == (
        "On Linux it holds in 2 of 3 environments: 0.5 times the speed in the median, 0.25 to 1.5."
    )
    wrong = linux("tf2.9", "3.8", PASSED, replace(RAISED, values={"mine": 10, "theirs": 40}))
    assert speed_verdict(said, [wrong], "Linux") == "Not measured yet, so nothing is known of it."
    assert "It is slow. **On Linux it holds in 2 of 3" in page(
        [Question(text="?", claims=(said,))], CAPABILITIES, places
    )


QUESTION = Question(
    text="Does it | work on my M1?",
    verified_by=("images.relu*",),
    answer="By hand.",
    pages={"the grid": "compatibility/grid.md"},
    claims=(claim(Expected.UNSUPPORTED),),
)


def test_page() -> None:
    text = page([QUESTION], CAPABILITIES, PLACES)
    assert text == page([QUESTION], CAPABILITIES, PLACES)
    lines = text.splitlines()
    assert [found for found in lines if found.startswith("## ")] == [
        "## What this page is based on",
        "## Does it | work on my M1?",
        "## Why does the import of ImageDataGenerator fail?",
        "## Are the numbers of my GPU right?",
    ]
    assert "- [Does it | work on my M1?](#does-it--work-on-my-m1)" in lines
    assert "| Linux | 5 of 5 | 5 venv | Debian 12, Xeon | 2026-11-20 | 0 |" in lines
    assert "| Apple silicon | none of 3, nothing on a Mac | - | - | - | - |" in lines
    assert "By hand." in lines
    assert "- Common claim: It fails. **Not tried yet, so nothing is known of it.**" in lines
    assert "More: [the grid](compatibility/grid.md)." in lines


def test_a_questions_table() -> None:
    lines = page([], CAPABILITIES, PLACES).splitlines()
    lines = lines[lines.index("## Why does the import of ImageDataGenerator fail?") :]
    assert lines[2] == "**Linux**: 1 of 2 work in every version tried. The others:"
    assert lines[4].startswith("- `from keras.preprocessing.image import ImageDataGenerator` works: In Tens")
    assert lines[6:10] == [
        "| TensorFlow | 2.18 | 2.13 | 2.9 |",
        "|---|---|---|---|",
        (
            "| `from keras.preprocessing.image import ImageDataGenerator` works "
            "| unsupported | unsupported | ✔ |"
        ),
        "| `flow` yields batches \\| and images | ✔ | ✔ | ✔ |",
    ]
    assert "Based on 5 environments on Debian 12, Xeon." in lines
    assert "**Apple silicon**: not tried on a Mac." in lines
    assert (
        "| `flow` yields batches \\| and images: images per second | Linux | 12.3 | 100 | 300 | 2.9 to 2.13 |"
    ) in lines


def test_what_the_contract_expects_of_a_gpu() -> None:
    lines = page([], CAPABILITIES, PLACES).splitlines()
    lines = lines[lines.index("## Are the numbers of my GPU right?") :]
    assert "Not verified on Linux: relu clips at zero (on the GPU)." in lines
    assert "**Apple silicon**: not tried on a Mac. What the contract expects there in particular:" in lines
    (shown,) = [found for found in lines if found.startswith("- ")]
    assert shown.startswith(
        "- relu clips at zero (on the GPU): In TensorFlow 2.13 it is expected to be broken"
    )


def test_a_mac_that_was_tried_has_a_table_of_its_own() -> None:
    broken = Observation(name="", observed=Observed.WRONG, error="AssertionError: on gpu, graph")
    tried = place(Sample(MAC, "tf2.13", "3.11", {"images.relu@gpu": broken}, ("Apple M1",)))
    lines = page([], CAPABILITIES, [*PLACES[:5], tried]).splitlines()
    assert "| relu clips at zero (on the GPU) | broken |" in lines
    assert "Based on 1 environment on Debian 12, Xeon, GPU Apple M1." in lines


def test_an_answer_by_hand_waits_for_what_carries_it() -> None:
    question = Question(text="Why?", verified_by=("images",), answer="By hand.", carried_by="images.flow")
    assert "By hand." in page([question], CAPABILITIES, PLACES)
    assert "By hand." not in page([question], CAPABILITIES, PLACES[5:])


def test_a_question_that_nothing_tries_says_so() -> None:
    assert "Nothing in the contract tries this yet." in page([Question(text="Why?")], [], [])


@pytest.mark.parametrize(
    ("text", "shown"),
    [("x\ny", "`x`"), ("a `b`", "`` a `b` ``"), ("``a", "``` ``a ```"), ("<prefix>", "`<prefix>`")],
)
def test_errors_are_one_line_of_code(text: str, shown: str) -> None:
    assert code(line(text)) == shown
    assert len(line("x" * 999)) == 200


def test_sources_are_links_where_the_project_is_known() -> None:
    assert source_link("Apple forum (someone)") == "Apple forum (someone)"
    assert source_link("strange#1") == "strange#1"
    assert source_link("tensorflow/io#2").endswith("(https://github.com/tensorflow/io/issues/2)")


def test_faults_of_the_questions_are_reported_together() -> None:
    text = '[[question]]\nquestion = 1\nextra = 2\n[[question.claim]]\ntext = "t"\nholds-if = "maybe"\n'
    with pytest.raises(DataFileError) as caught:
        parse_questions(text)
    assert len(caught.value.faults) == 4


def test_metalocks_own_questions_name_capabilities() -> None:
    """Of the areas that there are: a name that is mistyped would verify nothing."""
    areas = {capability.area for capability in contract()}
    known = {name for capability in contract() for name in (capability.name, capability.key)}
    for question in own_questions():
        assert question.text.endswith("?")
        wanted = [
            *question.verified_by,
            question.carried_by or "-",
            *(claim.decided_by for claim in question.claims),
        ]
        strange = [w for w in wanted if w.partition(".")[0] in areas - {w} and not filter_names(known, w)]
        assert not strange
        docs = Path(__file__).parents[2] / "docs"
        assert all((docs / page.partition("#")[0]).is_file() for page in question.pages.values())


def test_states_are_tried_or_not() -> None:
    tried = {State.WORKS, State.UNSUPPORTED, State.BROKEN, State.UNEXPECTED}
    assert {state for state in State if state.is_tried} == tried


def test_what_is_answered_by_hand_of_metal_is_what_the_matrix_has() -> None:
    """The one answer that no run on Linux can hold."""
    (answer,) = (q.answer for q in own_questions() if q.text.startswith("Which tensorflow-metal"))
    shown = dict(
        re.findall(r"(\d+\.\d+\.\d+) (?:goes )?with (?:TensorFlow )?([\d.]+\d(?: to [\d.]+\d)?)", answer)
    )
    macs = [cell for cell in open_workspace(ROOT / "matrix.toml").cells() if cell.platform is MAC]
    stacks = sorted({label(cell.stack) for cell in macs}, key=parse_release)
    offered: dict[str, set[str]] = {}
    for cell in macs:
        plugin = cell.column("tensorflow-metal")
        if cell.unavailable is None and plugin is not None and plugin.unavailable is None:
            offered.setdefault(plugin.specifier.removeprefix("=="), set()).add(label(cell.stack))
    assert shown == {version: span(list(found), stacks) for version, found in offered.items()}
