"""What the pages say about the code: paths and links that exist, and the layers as they are checked."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from test_layers import LAYERS

ROOT = Path(__file__).parents[2]
DESIGN = ROOT / "docs" / "design.md"
PATH = re.compile(r"`((?:src|tests|docs|\.github)/[^`*<>]*|[A-Z]+\.md)`")
LINK = re.compile(r"\]\(([^)#:\s]*)(?:#([^)\s]*))?\)")
QUESTIONS = ROOT / "src" / "metalock" / "answers" / "questions.toml"
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")})


def section(text: str, heading: str) -> str:
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of each row of the tables in a text, without their heads."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("|") and not line.startswith("|--") and cells[0] not in {"layer", "to change"}:
            yield cells


def test_every_row_of_what_to_open_names_paths_that_exist() -> None:
    table = list(rows(section(DESIGN.read_text(encoding="utf-8"), "To change something")))
    assert len(table) > 10
    for change, opened, _ in table:
        paths = PATH.findall(opened)
        assert paths, change
        assert [path for path in paths if not (ROOT / path).exists()] == [], change


def anchors(page: Path) -> set[str]:
    """Return what the headings of a page are linked by, as GitHub makes it."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def missing_links(links: Iterable[tuple[str, str]], page: Path) -> list[str]:
    """List the links of a page whose file or heading does not exist."""
    missing = []
    for file, anchor in links:
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            missing.append(f"{file}#{anchor}")
    return missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_named_paths_and_links_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [path for path in PATH.findall(text) if not (ROOT / path).exists()] == []
    assert missing_links(LINK.findall(text), page) == []


def test_links_of_the_questions_exist() -> None:
    questions = tomllib.loads(QUESTIONS.read_text(encoding="utf-8"))["question"]
    pages = [page for question in questions for page in question.get("pages", {}).values()]
    links = [(file, anchor) for file, _, anchor in (page.partition("#") for page in pages)]
    for question in questions:
        links += LINK.findall(question.get("answer", ""))
    assert len(links) > 5
    assert missing_links(links, ROOT / "docs" / "answers.md") == []


def test_the_table_of_layers_is_what_the_imports_are_checked_against() -> None:
    table = list(rows(section(DESIGN.read_text(encoding="utf-8"), "Layers")))
    named = [sorted(re.findall(r"`(\w+)`", modules)) for _, modules in table]
    assert named == [sorted(set(layer) - {"__init__"}) for layer in reversed(LAYERS)]


def test_the_layers_are_all_modules() -> None:
    source = ROOT / "src" / "metalock"
    packages = {path.parent.name for path in source.glob("*/__init__.py")}
    modules = {path.stem for path in source.glob("*.py")}
    assert {name for layer in LAYERS for name in layer} == packages | modules
