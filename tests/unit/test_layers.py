"""Imports go downwards only, as docs/design.md draws it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "metalock"
LAYERS: list[list[str]] = [
    ["errors", "faults", "markdown", "parsing", "progress", "untrusted", "__init__"],
    ["platforms", "findings", "matrix", "lock", "records", "render", "binaries"],
    ["adapters"],
    ["workspace"],
    ["audit", "checks", "evidence", "export", "locking", "overview", "prefix", "scaffold", "smoke"],
    ["answers", "ci", "verify"],
    ["commands", "cli", "__main__"],
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
PEERS = {
    ("checks", "overview"),
    ("locking", "audit"),
    ("locking", "evidence"),
    ("overview", "audit"),
    ("overview", "evidence"),
    ("smoke", "evidence"),
    ("smoke", "prefix"),
}
"""Pairs within the layer of the parts that may meet."""


def top(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "metalock":
            found.add(top(node.module))
        elif isinstance(node, ast.Import):
            found |= {top(alias.name) for alias in node.names if alias.name.split(".")[0] == "metalock"}
    return found


MODULES = [path for path in sorted(SOURCE.rglob("*.py")) if "suite" not in path.parts]


def test_no_two_public_classes_have_the_same_name() -> None:
    places: dict[str, list[str]] = {}
    for path in MODULES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(str(path.relative_to(SOURCE)))
    assert len(places) > 50
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_downwards(path: Path) -> None:
    own = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    for other in imports(path) - {own}:
        downwards = LEVEL[other] < LEVEL[own]
        within_edge = LEVEL[own] == LEVEL[other] and LAYERS[LEVEL[own]] != LAYERS[4] and own != other
        assert downwards or within_edge or (own, other) in PEERS, f"{own} imports {other}"
