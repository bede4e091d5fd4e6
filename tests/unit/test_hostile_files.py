"""Every reader of files from outside returns a value or a `MetalockError` that names the file, in bounds."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner
from hostile import KINDS, PLANTS, bounded, put
from prefix_samples import LOCK, SITE, make_conda, make_venv
from samples import locked_workspace

from metalock.adapters.cache import Cache
from metalock.adapters.reading import read_bytes, read_if_there, read_text
from metalock.adapters.settings import read_settings
from metalock.audit.facts import load
from metalock.audit.store import read_audit
from metalock.binaries import InvalidBinary
from metalock.cli import main
from metalock.errors import UnreadableFileError
from metalock.evidence.store import read_evidence, trials
from metalock.platforms import Platform
from metalock.prefix.check import check_prefix
from metalock.prefix.seeds import SOUND, recall, seed_wheels
from metalock.untrusted import InvalidFileError
from metalock.workspace import open_workspace

ENV = Path("envs") / "linux-64" / "tf2.18-py3.11"
INFO = Path(SITE) / "numpy-2.0.2.dist-info"


def _workspace(folder: Path) -> None:
    workspace = open_workspace(folder / "matrix.toml")
    cells = list(workspace.cells())
    states = [workspace.state(cell) for cell in cells]
    list(workspace.locks())
    workspace.orphans(Platform)
    trials(workspace, states)
    for cell, state in zip(cells, states, strict=True):
        if state.lock is not None:
            with suppress(InvalidFileError):
                read_evidence(workspace, cell, state.lock)
            with suppress(InvalidFileError):
                read_audit(workspace, cell, state.lock)


def _settings(folder: Path) -> None:
    read_settings({"HOME": str(folder)}, home=folder)


def _prefix(folder: Path) -> None:
    for finding in check_prefix(LOCK, folder):
        assert finding.detail.isprintable() or "\x1b" in finding.detail


def _cache(folder: Path) -> None:
    cache = Cache(folder)
    cache.prepare()
    recall(cache)
    stored = cache.map("some")
    if stored is not None:
        with suppress(InvalidBinary):
            load(stored)


READERS: dict[str, tuple[str, Callable[[Path], object] | None, Callable[[Path], None]]] = {
    "matrix.toml": ("matrix.toml", locked_workspace, _workspace),
    "a template": ("templates/conda.lock.j2", locked_workspace, _workspace),
    "lock.json": (str(ENV / "lock.json"), locked_workspace, _workspace),
    "a rendered file": (str(ENV / "conda.lock"), locked_workspace, _workspace),
    "smoke.json": (str(ENV / "smoke.json"), locked_workspace, _workspace),
    "audit.json": (str(ENV / "audit.json"), locked_workspace, _workspace),
    ".condarc": (".condarc", None, _settings),
    "uv.toml": (".config/uv/uv.toml", None, _settings),
    "pip.conf": (".config/pip/pip.conf", None, _settings),
    "conda-meta": ("conda-meta/python.json", make_conda, _prefix),
    "METADATA": (str(INFO / "METADATA"), make_conda, _prefix),
    "RECORD": (str(INFO / "RECORD"), make_conda, _prefix),
    "an installed file": (f"{SITE}/numpy.py", make_conda, _prefix),
    "pyvenv.cfg": ("pyvenv.cfg", make_venv, _prefix),
    "facts of a wheel": ("facts/some", None, _cache),
    "sound files": (f"facts/{SOUND}", None, _cache),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_value_or_an_error(tmp_path: Path, reader: str) -> None:
    file, prepare, read = READERS[reader]
    if prepare is not None:
        prepare(tmp_path)
    for name, plant in PLANTS.items():
        print(name)  # noqa: T201 - shown where the test fails
        put(tmp_path / file, plant)
        with bounded(Path(file).name, str(tmp_path), memory=name in KINDS):
            read(tmp_path)


def test_seeds_in_the_cache(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    cache.prepare()
    for name, plant in PLANTS.items():
        print(name)  # noqa: T201 - shown where the test fails
        put(tmp_path / "cache" / "facts" / f"seed-pip-25.0-{LOCK.platform}-3.11", plant)
        with bounded("package index", "pip"):
            seed_wheels(LOCK, (tmp_path / "simple").as_uri(), cache)


@pytest.mark.parametrize("file", ["matrix.toml", "lock.json", "smoke.json", "audit.json", "README.md"])
def test_the_commands_end_with_a_code_of_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    locked_workspace(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in (*KINDS, "5000 digits", "deep array", "lone surrogate"):
        put(tmp_path / (file if file in ("matrix.toml", "README.md") else ENV / file), PLANTS[name])
        for command in (["list", "--json"], ["check", "--offline"]):
            with bounded():
                result = CliRunner().invoke(main, command)
            assert result.exit_code in (0, 1, 2), (name, result.output)
            assert isinstance(result.exception, SystemExit | None), (name, result.output)


@pytest.mark.parametrize(
    ("plant", "problem"),
    [
        ("FIFO", "not a regular file"),
        ("endless device", "not a regular file"),
        ("directory", "is a directory"),
        ("200 MB of zeros", "larger than 32 MiB"),
        ("symlink loop", "Too many levels of symbolic links"),
        ("dangling symlink", "does not exist"),
        ("not UTF-8", "not UTF-8 at byte 0"),
    ],
)  # fmt: skip
def test_reading_names_the_file_and_the_problem(tmp_path: Path, plant: str, problem: str) -> None:
    path = tmp_path / "file"
    put(path, PLANTS[plant])
    with bounded(), pytest.raises(UnreadableFileError, match=problem) as caught:
        read_text(path, 32 << 20)
    assert str(path) in str(caught.value)


def test_reading(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert read_if_there(path) is None
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\rc\n")
    assert read_text(path) == "a\nb\rc\n"
    assert read_bytes(path, path.stat().st_size) == path.read_bytes()
    with bounded("file"):
        read_bytes(path, 3)
    for name in ("a\0b", "\ud800", "x" * 300, "file/below"):
        with bounded("not the path", "File name too long", "does not exist"):
            read_bytes(tmp_path / name)


def _row(path: str, size: str = "") -> str:
    return f"{path},sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,{size}\n"


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (_row("x" * 200_000), "field larger than field limit (131072)"),
        (_row("numpy\0.py"), "entry 1 is not a path, a hash and a size"),
        (_row("/dev/zero"), "/dev/zero leads out of the environment"),
        (_row("fifo"), "fifo is not a regular file"),
        (_row("huge"), "huge is larger than 4 GiB"),
        (_row("numpy.py", "1" * 400), "numpy.py has a hash or size in RECORD that is not one"),
        (_row("numpy.py", "many"), "numpy.py has a hash or size in RECORD that is not one"),
        ("numpy.py,shake_128=x,\n", "numpy.py has a hash by shake_128 in RECORD, which is not secure"),
        ("numpy.py,nosuch=x,\n", "numpy.py has a hash by nosuch in RECORD, which is not secure"),
        (_row("a\u2028b"), "a\u2028b is missing"),
        ('"' + "x,\n" * 100_000, "field larger than field limit (131072)"),
    ],
)  # fmt: skip
def test_a_record_with(tmp_path: Path, row: str, problem: str) -> None:
    make_venv(tmp_path)
    (tmp_path / INFO / "RECORD").write_text(row)
    os.mkfifo(tmp_path / SITE / "fifo")
    with (tmp_path / SITE / "huge").open("wb") as file:
        file.truncate((4 << 30) + 1)
    with bounded():
        details = [f.detail for f in check_prefix(LOCK, tmp_path) if f.where == "numpy"]
        assert len(details) == 1
        assert problem in details[0]


def test_kinds_are_what_they_say(tmp_path: Path) -> None:
    """So that a table of kinds that can't be made is no pass."""
    for name, plant in KINDS.items():
        path = tmp_path / name.replace(" ", "-")
        plant(path)
        assert path.is_symlink() or path.exists()
