"""The committed grids, made anew from the index."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from metalock.audit.gridrun import make_grid
from metalock.platforms import Platform
from metalock.progress import Reporter

pytestmark = [pytest.mark.network, pytest.mark.slow]
FOLDER = Path(__file__).parents[2] / "docs" / "compatibility"
Pair = tuple[str, str, str]


def by_pair(entries: list[dict[str, Any]]) -> dict[Pair, list[dict[str, Any]]]:
    found: dict[Pair, list[dict[str, Any]]] = {}
    for entry in entries:
        pair = entry["tensorflow"], entry["distribution"], entry["version"]
        found.setdefault(pair, []).append(entry)
    return found


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_grid_is_still_what_was_committed(path: Path) -> None:
    """Releases newer than the committed grid have no say."""
    plugin, _, platform = path.stem.partition(".")
    committed = by_pair(json.loads(path.read_text(encoding="utf-8")))
    made = by_pair([entry.to_dict() for entry in make_grid(plugin, Platform(platform), Reporter())])
    changed = [pair for pair in committed if committed[pair] != made.get(pair)]
    page = path.with_suffix(".md").relative_to(FOLDER.parents[1])
    assert not changed, (
        f"{changed[:5]} and {len(changed)} in all; if that is right: "
        f"metalock audit --grid {plugin} --platform {platform} --output {page.as_posix()}"
    )
