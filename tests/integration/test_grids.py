"""The committed grids, made again from the index."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from metalock.audit.grid import GridVerdict
from metalock.audit.grid_run import make_grid
from metalock.audit.reports import optional_reason
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
        f"metalock audit --grid {plugin} --platform {platform} --output {page.as_posix()}, and with --json"
    )


FINALIZE = "_ZNK10tensorflow4data11DatasetBase8Finalize"
LINUX_REPORTS = {
    # (TensorFlow, tensorflow-io): the symbol that was reported as undefined, or None where it was imported
    ("2.18.0", "0.37.1"): "_ZN3tsl8str_util8EndsWith",  # tensorflow/io#2104
    ("2.14.0", "0.34.0"): FINALIZE,  # tensorflow/io#1871
    ("2.20.0", "0.37.1"): "_ZN3tsl5mutex6unlockEv",  # argonne-lcf/dlio_benchmark#305
    ("2.16.2", "0.37.1"): None,  # argonne-lcf/dlio_benchmark#305
    ("2.8.0", "0.24.0"): None,  # tensorflow/io#1742
    # the TensorFlow that `tensorflow-io[tensorflow]` asks for
    ("2.13.0", "0.34.0"): None,
    ("2.15.0", "0.36.0"): None,
    ("2.16.1", "0.37.1"): None,
}


def test_reports_from_linux() -> None:
    """Of the Linux grid, which is too large to commit but as a page, the pairs that somebody reported on."""
    made = make_grid(
        "tensorflow-io",
        Platform.LINUX_64,
        Reporter(),
        only=lambda pair: (str(pair.tensorflow.version), str(pair.plugin.version)) in LINUX_REPORTS,
    )
    for (tensorflow, version), named in LINUX_REPORTS.items():
        entries = [
            entry
            for entry in made
            if (entry.tensorflow, entry.version) == (tensorflow, version)
            and optional_reason(entry.plugin, entry.library) is None
        ]
        missing = [name for entry in entries for name in entry.missing]
        if named is None:
            assert {entry.verdict for entry in entries} == {GridVerdict.LOADS}, (tensorflow, version)
        else:
            assert any(name.startswith(named) for name in missing), (tensorflow, version)
