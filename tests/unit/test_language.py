"""Texts for people are plain technical English: docs/design.md has the rules, this file measures them."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "metalock"

SHARE_WITH_VERB = 0.8
VERBS = frozenset(
    re.findall(
        r"\w+",
        """
        accept acquire add advance allow answer append apply ask assert attach await begin bind break bring
        build bundle call cancel change check choose classify clean clear close collect combine compare
        compile complete compute connect convert copy count create cut decide declare decode decompress
        delete derive describe detect determine disable discard discover divide download draw drop empty
        enable encode end ensure enter escape evaluate exclude execute exit expand explain export express
        extend extract fail feed fetch fill filter find finish fit flatten follow forget format free
        generate get give hash have hide hold ignore import include indicate infer inflate insert inspect
        install interrupt invert iterate join judge keep kill know leave let link list load locate lock look
        make mark match merge modify move narrow normalise normalize note observe omit open pad parse pass
        patch pick predict prefer prepare prevent print produce provide prune publish pull push put raise
        read rebuild receive recognize reduce refuse register reject release remember remove rename render
        repeat replace report require reserve reset resolve restore restrict retrain return reverse revise
        rewrite run save say search select send serialize serve show shuffle skip sleep solve sort split
        start stop store strip substitute suggest sum summarise summarize take train transform translate
        truncate try turn undo unpack update upgrade use validate verify visit wait walk warn watch wrap
        write yield
        """,
    )
)
"""First words that count as a verb, in the imperative; words that are nouns just as often are left out."""
THIRD_PERSON = frozenset(
    {"returns", "raises", "yields", "reads", "writes", "adds", "removes", "makes", "gives"}
)

AVOID = re.compile(
    r"""\b(
        told | tell(s|ing)? | vouch(es|ed|ing)? | mend(s|ed|ing)? | likewise | anew | besides? | lies | stands
        | (broke|broken|breaks?|breaking)\s+off | held\s+against | hold(s|ing)?\s+against | c[ao]mes?\s+to
        | for\s+want\s+of | can['`]?t\s+be\s+had | cannot\s+be\s+had | goes\s+on | go\s+on | went\s+on
        | what\s+bec[ao]mes?\s+of | how\s+far
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
"""Words that are poetic, archaic or vague, with their inflections."""
AVOID_IN_NAMES = frozenset(
    {
        "told",
        "tell",
        "tells",
        "mend",
        "mends",
        "mended",
        "vouch",
        "vouches",
        "anew",
        "likewise",
        "beside",
        "lies",
        "stands",
    }
)

INLINE_CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
ABBREVIATIONS = re.compile(r"\b(e\.g|i\.e|etc|vs|cf|resp|approx|incl)\.(?=\s)")
SENTENCE_END = re.compile(r"[.?!][)\"'*_]*(?=\s+\S)")
LINE_END = re.compile(r"[.?!:;…][)\"'*_]*$")
LIST_MARKER = re.compile(r"^\s*([-*+]|\d+\.)\s+")
RUN_IN_HEADING = re.compile(r"^\*\*[^*]+\*\*\s+")
GENERATED_PROSE = ("docs/answers.md", "docs/compatibility/tensorflow-")
"""Pages that metalock writes; where their lines end is up to it."""


def files(*patterns: str) -> list[Path]:
    found = {path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()}
    return sorted(found)


def names(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


PYTHON = files("src/metalock/**/*.py")
TEXTS = files(
    "*.md",
    "docs/*.md",
    "docs/answers*",
    "docs/compatibility/*.md",
    "matrix.toml",
    "pyproject.toml",
    "templates/*",
    "src/metalock/**/*.toml",
    "src/metalock/starter/*",
    ".github/**/*.yml",
)
PROSE = [path for path in files("*.md", "docs/**/*.md") if not names(path).startswith(GENERATED_PROSE)]


# Verbs


def docstrings(text: str) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, str]]:
    """Yield the functions of a module that have a docstring: methods, properties and tests included."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node)
            if docstring:
                yield node, docstring


def starts_with_verb(docstring: str) -> bool:
    """Return whether the first word is one of the verbs, and not a noun as in "Hash of the file"."""
    first, second, *_ = [*re.findall(r"[^\s;:,.]+", docstring.lower())[:2], "", ""]
    return (first in VERBS or first in THIRD_PERSON) and second != "of"


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        ("Return the wheels that fit a cell.", True),
        ("Returns the wheels that fit a cell.", True),
        ("Wait; it may take long.", True),
        ("The wheels that fit a cell.", False),
        ("Whether it fits.", False),
        ("Name and version of a wheel.", False),
        ("Place of the file.", False),
        ("Hash of the file.", False),
        ("Records of every package.", False),
        ("`True` if it fits.", False),
    ],
)
def test_verbs_are_recognized(docstring: str, *, expected: bool) -> None:
    assert starts_with_verb(docstring) is expected


def test_docstrings_of_functions_start_with_a_verb() -> None:
    total, others = 0, []
    for path in PYTHON:
        for node, docstring in docstrings(path.read_text(encoding="utf-8")):
            total += 1
            if not starts_with_verb(docstring):
                others.append(f"{names(path)}:{node.lineno}: {node.name}: {docstring.splitlines()[0]}")
    share = 1 - len(others) / total
    assert share >= SHARE_WITH_VERB, "\n".join([f"{share:.0%} of {total} start with a verb", *others])


# Words


def python_texts(text: str) -> Iterator[tuple[int, str]]:
    """Yield each string with a space (docstrings and messages) and each comment, with its line."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def bad_words(texts: Iterator[tuple[int, str]]) -> list[tuple[int, str]]:
    """List the words to avoid with their lines; a phrase may run over the end of a line."""
    return sorted(
        {
            (line + text.count("\n", 0, match.start()), " ".join(match.group().split()))
            for line, text in texts
            for match in AVOID.finditer(text)
        }
    )


def test_words_to_avoid_are_found() -> None:
    code = '''
def run():
    """Run it.

    It goes
    on.
    """
    message = f"{1} is held against {2}"  # what it came to
    return "told", message
'''
    assert sorted(word for _, word in bad_words(python_texts(code))) == ["came to", "goes on", "held against"]


@pytest.mark.parametrize("path", PYTHON, ids=names)
def test_python_has_no_word_to_avoid(path: Path) -> None:
    assert bad_words(python_texts(path.read_text(encoding="utf-8"))) == []


def defined_names(text: str) -> Iterator[tuple[int, str]]:
    """Yield the names that a module defines: functions, classes, arguments, variables and attributes."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case _:
                pass


def bad_names(text: str) -> list[tuple[int, str]]:
    return [
        (line, name)
        for line, name in defined_names(text)
        if AVOID_IN_NAMES & set(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().split("_"))
    ]


def test_names_to_avoid_are_found() -> None:
    code = """
class ToldThings:
    def tell(self, beside):
        self.lies = stands = file.tell()
        constellation = 1
"""
    assert sorted(name for _, name in bad_names(code)) == ["ToldThings", "beside", "lies", "stands", "tell"]


@pytest.mark.parametrize("path", PYTHON, ids=names)
def test_names_have_no_word_to_avoid(path: Path) -> None:
    assert bad_names(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", TEXTS, ids=names)
def test_texts_have_no_word_to_avoid(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        text = INLINE_CODE.sub("`", text)  # a quotation, such as an error in recorded evidence
    assert bad_words(iter([(1, text)])) == []


# Sentences


def paragraphs(text: str) -> Iterator[list[tuple[int, str]]]:
    """Yield the lines of each paragraph or list item, without code, tables, headings and generated parts."""
    lines: list[tuple[int, str]] = []
    in_code = in_table = False
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("```"):
            in_code = not in_code
        if "<!-- metalock:table -->" in line:
            in_table = True
        if "<!-- /metalock:table -->" in line:
            in_table = False
        stripped = line.strip()
        is_prose = bool(stripped) and not (
            in_code or in_table or stripped.startswith(("```", "|", "#", "<!--"))
        )
        if lines and (not is_prose or LIST_MARKER.match(line)):
            yield lines
            lines = []
        if is_prose:
            lines.append((number, LIST_MARKER.sub("", stripped)))
    if lines:
        yield lines


def sentence_faults(text: str) -> list[str]:
    """List the lines with more than one sentence and those on which a sentence does not end."""
    faults = []
    for paragraph in paragraphs(text):
        for index, (number, line) in enumerate(paragraph):
            plain = INLINE_CODE.sub("`", ABBREVIATIONS.sub(r"\1", RUN_IN_HEADING.sub("", line)))
            if SENTENCE_END.search(plain):
                faults.append(f"line {number} has several sentences: {line}")
            if index < len(paragraph) - 1 and not LINE_END.search(plain):
                faults.append(f"line {number} does not end its sentence: {line}")
    return faults


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("One sentence.\nAnother one, of 2.18.1.", 0),
        ("One sentence. Another one.", 1),
        ("One sentence that\nis wrapped.", 1),
        ("**Run-in.** One sentence (e.g. this).\nIs it `a. b`?", 0),
        ("- an item\n- another\n  that is wrapped", 1),
        ("1. An item.\n2. Another.\n   With a second sentence.", 0),
        ("```\nno prose. At all\n```\n| a. B |\n# Heading. Here", 0),
        ("It is said (so). Or not.", 1),
    ],
)
def test_sentences_are_counted(text: str, count: int) -> None:
    assert len(sentence_faults(text)) == count


@pytest.mark.parametrize("path", PROSE, ids=names)
def test_prose_has_one_sentence_on_a_line(path: Path) -> None:
    assert sentence_faults(path.read_text(encoding="utf-8")) == []
