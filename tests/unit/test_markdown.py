"""Strings from outside never format a page: what a real parser finds in it stays the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from samples import HEAD, MATRIX, PLATFORMS, all_cells, cell, conda, host_of, lock_of

from metalock import markdown
from metalock.answers.model import TriedEnvironment
from metalock.answers.page import page
from metalock.answers.questions import Claim, Question
from metalock.audit.grid import GridEntry, GridVerdict
from metalock.audit.gridtext import to_page
from metalock.evidence.contract import Capability, Expectation, Expected, situation_of
from metalock.evidence.model import Evidence, Observation, Observed, Result
from metalock.evidence.text import clean_host, evidence_text
from metalock.lock.model import lock_digest
from metalock.locking.diff import diff_lines, evidence_lines
from metalock.overview.readme import BEGIN, END, to_markdown, with_table
from metalock.platforms import Platform

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
NASTY = [
    "<img src=x onerror=alert(1)>",
    "<!-- /metalock:table -->",
    "# Heading",
    "x\n# Heading",
    "x\r\n\r\n## Heading\n\n<script>alert(1)</script>",
    "x\u2028# Heading",
    "x\n===",
    "- item",
    "1. item",
    "> quote",
    "[text](https://example.invalid)",
    "![image](https://example.invalid/x.png)",
    "[text]: https://example.invalid",
    "<https://example.invalid>",
    "*emphasis* **strong** _emphasis_ __strong__ ~~gone~~",
    "a*b*c a_b_c _a_",
    "`code` ``co`de`` `",
    "``` \nfence\n```",
    "` ` - item",
    "a | b \\| c \\\\| d",
    "\\",
    "\\`",
    "&lt;b&gt; &#35; &copy;",
    "    code",
    "\ttab",
    "x\x00\x1b[31m\u202e",
    "$x$ @someone",
]
hostile = st.sampled_from(NASTY) | st.text(
    st.sampled_from(list("<>[]()!#*_~`\\|&;:/-+=.@$ \n\r\t\"'1aA\u00a0\u2028\x00")), max_size=20
)
hostile = hostile | st.lists(hostile, min_size=2, max_size=3).map(" ".join)
HARMLESS = "word"


def tokens(text: str) -> Iterable[Token]:
    for token in PARSER.parse(text):
        yield token
        yield from token.children or []


def shape(text: str) -> Counter[str]:
    """How many of each kind of token; of plain text and code the number says nothing."""
    found = Counter(token.type for token in tokens(text))
    for kind in ("text", "text_special", "code_inline", "softbreak"):
        del found[kind]
    return found


def shown(text: str) -> str:
    return "".join(token.content for token in tokens(text) if token.type in ("text", "text_special"))


def cleaned(value: str) -> str:
    return " ".join(value.split())


def test_the_parser_sees_what_unescaped_strings_do() -> None:
    seen = {kind for value in NASTY for before in ("- ", "a ") for kind in shape(f"{before}{value}\n")}
    assert {
        "heading_open",
        "html_block",
        "html_inline",
        "link_open",
        "image",
        "em_open",
        "strong_open",
    } <= seen


@pytest.mark.parametrize("value", NASTY)
@pytest.mark.parametrize("before", ["", "- ", "1. ", "## ", "a ", "> "])
@pytest.mark.parametrize("make", [markdown.text, markdown.prose])
def test_no_nasty_string_formats_a_line(make: Callable[[str], str], value: str, before: str) -> None:
    assert shape(f"{before}{make(value)}\n") == shape(f"{before}{HARMLESS}\n")
    assert "\n" not in make(value)


def check_shown(value: str) -> None:
    char_shown = [char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in cleaned(value)]
    assert shown(f"a {markdown.text(value)} b") == f"a {''.join(char_shown)} b"


@pytest.mark.parametrize("value", NASTY)
def test_nasty_text_comes_back(value: str) -> None:
    check_shown(value)


@given(hostile)
def test_escaped_text_comes_back(value: str) -> None:
    check_shown(value)


@pytest.mark.parametrize("make", [markdown.text, markdown.prose, markdown.code])
@given(value=hostile)
def test_no_string_formats_a_paragraph(make: Callable[[str], str], value: str) -> None:
    for before in ("", "- ", "## ", "x "):
        assert shape(f"{before}{make(f'a{value}')}\n") == shape(f"{before}a\n")
        assert shape(f"{before}{make(f'{value}a')}\n") == shape(f"{before}a\n")


@pytest.mark.parametrize(
    "make", [markdown.cell, markdown.prose_cell, lambda value: markdown.in_table(markdown.code(value))]
)
@given(value=hostile)
def test_no_string_breaks_a_table(make: Callable[[str], str], value: str) -> None:
    table = "| a | b |\n|---|---|\n| {0} | {0} |\n"
    assert shape(table.format(make(f"x{value}"))) == shape(table.format("x"))


@pytest.mark.parametrize(
    ("value", "escaped"),
    [
        ("Debian GNU/Linux 12 (bookworm), AMD EPYC", "Debian GNU/Linux 12 (bookworm), AMD EPYC"),
        ("Intel(R) Xeon(R) CPU @ 2.20GHz", "Intel(R) Xeon(R) CPU @ 2.20GHz"),
        ("manylinux_2_28 >=1.2,<2 (a#1)", "manylinux_2_28 >=1.2,<2 (a#1)"),
        ("see https://example.invalid", "see https\\://example.invalid"),
        ("www.example.invalid me@example.invalid", "www\\.example.invalid me\\@example.invalid"),
    ],
)
def test_harmless_strings_stay_and_bare_addresses_are_no_links(value: str, escaped: str) -> None:
    assert markdown.text(value) == escaped


def test_code_in_prose_stays_code() -> None:
    assert markdown.prose("`a_b_*` and ``c`d`` *x*") == "`a_b_*` and `` c`d `` \\*x\\*"
    assert markdown.prose_cell("`a|b`") == "`a\\|b`"


# Pages.


def answers(value: str) -> str:
    question = Question(
        text=f"Why {value}?", verified_by=("a.*",), claims=(Claim(text=value, decided_by="a.b"),)
    )
    why = Expectation(
        when={}, outcome=Expected.UNSUPPORTED, error="no", instead=value, why=value, source=value
    )
    of = cell()
    lock = lock_of(of)
    host = {**host_of(Platform.LINUX_64), "system": value, "cpu": value, "gpus": [value]}
    runs = []
    for number, expectations in enumerate([(), (why,)]):
        capability = Capability(
            name=f"a.{'bc'[number]}",
            area="a",
            question=f"Why {value}?",
            claim=f"it {value}",
            env={},
            expectations=expectations,
        )
        raised = Observation(name=capability.key, observed=Observed.RAISED, error=f"no {value}")
        passed = Observation(name=capability.key, observed=Observed.PASSED, values={value or "x": 2.5})
        runs.append((capability, raised if expectations else passed))
    situation = situation_of(lock)
    tried = TriedEnvironment(
        stack=f"a{value}",
        python="3.11",
        platform=Platform.LINUX_64,
        situation=situation,
        evidence=Evidence(lock="", date=f"2{value}", backend=f"b{value}", host=host, observations=()),
        results={
            capability.key: Result(
                capability=capability, expectation=capability.expected(situation), observation=observation
            )
            for capability, observation in runs
        },
    )
    return page([question], [capability for capability, _ in runs], [tried])


def readme(value: str) -> str:
    cells = [
        replace(
            one,
            stack=f"s{value}",
            columns=tuple(
                replace(column, unavailable=None if column.name == "tensorflow" else value)
                for column in one.columns
            ),
        )
        for one in all_cells(MATRIX)
    ]
    gone = [replace(one, columns=(replace(one.columns[0], unavailable=f"no {value}"),)) for one in cells]
    return to_markdown(cells[:2], {}) + "\n\n" + to_markdown(gone, {})


def grid(value: str) -> str:
    entries = [
        GridEntry(
            platform=Platform.OSX_ARM64,
            tensorflow=f"2{value}",
            distribution=f"t{value}",
            plugin=f"p{value}",
            version=f"1{value}",
            library=f"l{value}",
            verdict=verdict,
            missing=missing,
        )
        for verdict, missing in ((GridVerdict.FAILS, (f"m{value}",)), (GridVerdict.LOADS, ()))
    ]
    return to_page(entries, f"metalock {value}")


def changes(value: str) -> str:
    old, new = (lock_of(cell(), [conda("a", version)], {"b": version}) for version in ("1", f"2{value}"))
    name = f"e{value}"
    lines = [*diff_lines({name: old, f"g{value}": old}, {name: new, f"n{value}": new})]
    tried = Observation(name="environment.import", observed=Observed.PASSED)
    evidence = Evidence(
        lock=lock_digest(new),
        date="2026-11-20",
        backend="venv",
        host=clean_host({**host_of(Platform.LINUX_64), "cpu": f"c{value}", "gpus": [f"g{value}"]}),
        observations=(tried,),
    )
    recorded = {
        (name, "smoke.json"): evidence_text(evidence, new),
        (name, "audit.json"): value,
        ("x", "y"): value,
    }
    return "\n".join([*lines, *evidence_lines({(value, value): value}, recorded, {name: new})])


@pytest.mark.parametrize("make", [answers, readme, grid, changes])
@given(value=hostile)
def test_no_string_formats_a_page(make: Callable[[str], str], value: str) -> None:
    assert shape(make(value)) == shape(make(HARMLESS))


@given(value=hostile)
def test_no_reason_ends_the_table_of_a_document(value: str) -> None:
    text = HEAD + PLATFORMS
    reason = f"{value}{END}`{BEGIN}{END}`"
    cells = [
        replace(one, stack=reason, columns=(replace(one.columns[0], unavailable=reason),))
        for one in all_cells(MATRIX)
    ]
    written = with_table(f"{text}{BEGIN}\n{END}\n", cells, {})
    assert (written.count(BEGIN), written.count(END)) == (1, 1)
