"""benchmarks: a row is a number or says why it was skipped, and no failure loses the others."""

from __future__ import annotations

import importlib
import json
import platform
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from integration.conda_channel import Member, Packed, pack
from metalock.platforms import platform_of

ROOT = Path(__file__).parents[2]
FAILING = "#!/bin/sh\necho trying; echo 'CondaError: no such thing' >&2; exit 3\n"
HANGING = "#!/bin/sh\nsleep 60 & sleep 60\n"


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    """The benchmarks' own modules, whose short names are forgotten afterwards."""
    names = [path.stem for path in (ROOT / "benchmarks").glob("*.py")]
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    before = list(sys.path)
    yield {name: importlib.import_module(name) for name in ("rows", "run", "building", "locking")}
    sys.path[:] = before
    for name in names:
        sys.modules.pop(name, None)


def executable(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)
    return folder / name


def test_a_program_that_fails_or_hangs(modules: dict[str, ModuleType], tmp_path: Path) -> None:
    rows = modules["rows"]
    assert rows.run([executable(tmp_path, "works", "#!/bin/sh\necho 1\n")]) == b"1\n"
    for program, why in {
        executable(tmp_path, "fails", FAILING): "fails ended with code 3: CondaError: no such thing",
        executable(
            tmp_path, "silent", "#!/bin/sh\nexit 1\n"
        ): "silent ended with code 1: it printed no error",
        executable(tmp_path, "hangs", HANGING): "hangs did not end within 1 s",
        tmp_path / "absent": "absent cannot be started: No such file or directory",
    }.items():
        start = time.monotonic()
        with pytest.raises(rows.NotMeasuredError, match=f"^{why}$"):
            rows.run([program], limit=1)
        assert time.monotonic() - start < 20


def test_rows_are_saved_as_they_come(
    modules: dict[str, ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    saved = tmp_path / "results.json"

    def two(_root: Path, _folder: Path) -> Iterator[dict[str, object]]:
        yield {"what": "first", "measured": "1 s", "target": "< 2 s"}
        assert [row["what"] for row in json.loads(saved.read_text())] == ["first"]
        raise OSError(28, "No space left\non device")

    def one(_root: Path, _folder: Path) -> list[dict[str, object]]:
        return [{"what": "third", "measured": "3 s"}]

    monkeypatch.setattr(modules["run"], "BENCHMARKS", {"two": two, "one": one})
    modules["run"].measure(["two", "one"], saved)
    assert [(row["benchmark"], row["what"], row["measured"]) for row in json.loads(saved.read_text())] == [
        ("two", "first", "1 s"),
        ("two", "two", "skipped: [Errno 28] No space left on device"),
        ("one", "third", "3 s"),
    ]
    assert len(capsys.readouterr().out.splitlines()) == 3


@pytest.mark.parametrize(
    ("conda", "limit", "why"),
    [
        (None, 60, "no conda executable here"),
        (FAILING, 60, "(conda|conda-lock) ended with code [1-9]: .+"),
        (HANGING, 5, "(conda|conda-lock) did not end within 5 s"),
    ],
)
def test_the_conda_rows(
    modules: dict[str, ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    conda: str | None,
    limit: float,
    why: str,
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    if conda is not None:
        executable(programs, "conda", conda)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    packages = modules["building"]._python_packages
    monkeypatch.setattr(modules["building"], "_real_packages", lambda *_: [_interpreter(), *packages()])
    for module in ("building", "locking"):
        monkeypatch.setattr(modules[module], "CONDA_LIMIT", limit)
    modules["run"].measure(["build-conda", "conda-lock"], tmp_path / "results.json")
    found = json.loads((tmp_path / "results.json").read_text())
    assert [row["benchmark"] for row in found] == ["build-conda", "conda-lock"]
    for row in found:
        assert re.fullmatch(f"skipped: {why}", row["measured"]), row


def _interpreter() -> Packed:
    own = platform_of(sys.platform, platform.machine())
    version = ".".join(map(str, sys.version_info[:3]))
    return pack("python", version, {"bin/python": Member(b"")}, subdir=str(own), build="0_cpython")
