"""A project, a channel and an index for each test, cut off from the machine's own settings and caches."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner

from integration.channel import Channel, channel_files, make_channel
from integration.index import Wheel, index_files, make_wheels
from integration.servers import Site, serving
from metalock.cli import main
from metalock.workspace import Workspace, open_workspace

MATRIX = """\
schema = 1
channels = ["conda-forge"]
exclude-newer = 2026-08-21T00:00:00Z

[packages]
conda = { pip = "*" }
pip = { pillow = "*" }
from-conda = ["packaging", "setuptools", "wheel"]

[platform.osx-arm64]
macos = "12.0"
default = "tf2.18-py3.11"

[platform.linux-64]
glibc = "2.28"
default = "tf2.18-py3.11"

[stack."tf2.18"]
python = ["3.11", "3.12"]
tensorflow = "2.18.1"
keras = ">=3.5,<3.10"
tf-keras = "2.18.*"
numpy = ">=1.26,<2.1"

[stack."tf2.18".osx-arm64]
tensorflow-metal = "1.2.0"

[stack."tf2.17"]
python = ["3.11"]
tensorflow = "2.17.1"
keras = ">=3.5,<3.10"
tf-keras = "2.17.*"
numpy = ">=1.26,<2"
"""
CELLS = [
    f"{platform}/{env}"
    for platform in ("linux-64", "osx-arm64")
    for env in ("tf2.17-py3.11", "tf2.18-py3.11", "tf2.18-py3.12")
]
HELD = ("PATH", "LANG", "SYSTEMROOT")


@dataclass(slots=True)
class World:
    """The channel and the index, as one server."""

    url: str
    site: Site
    stop: Callable[[], None]
    """End the server: from then on, nothing listens there."""
    channel: Channel = field(default_factory=make_channel)
    wheels: list[Wheel] = field(default_factory=make_wheels)

    def publish(self, *, sharded: bool = False, html_only: bool = False) -> None:
        """Serve what `channel` and `wheels` hold now."""
        self.site.files.clear()
        self.site.files |= index_files(self.wheels, html_only=html_only)
        for path, body in channel_files(self.channel, sharded=sharded).items():
            self.site.put(path, body)

    def asked(self, part: str) -> list[str]:
        return [path for path in self.site.asked if part in path]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run of the command line went."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with a matrix.toml."""

    root: Path

    def write(self, text: str = MATRIX) -> None:
        (self.root / "matrix.toml").write_text(text, encoding="utf-8")

    @property
    def matrix(self) -> str:
        return (self.root / "matrix.toml").read_text(encoding="utf-8")

    def edit(self, old: str, new: str) -> None:
        """Change a text that the matrix has once."""
        assert self.matrix.count(old) == 1, old
        self.write(self.matrix.replace(old, new))

    def run(self, *args: str, code: int = 0) -> Ended:
        """In this process, which spares the start; `code` is the exit code to expect."""
        result = CliRunner().invoke(main, [*args, *self._where(args)])
        assert result.exit_code == code, result.output or result.exception
        return Ended(result.exit_code, result.stdout, result.stderr)

    def spawn(
        self,
        *args: str,
        before: Sequence[str] = (),
        environ: dict[str, str] | None = None,
        cwd: Path | None = None,
        start_new_session: bool = False,
    ) -> subprocess.Popen[str]:
        """In a process of its own; `before` is a command that runs it."""
        return subprocess.Popen(
            [*before, sys.executable, "-m", "metalock", *args, *self._where(args)],
            env={**os.environ, **(environ or {})},
            cwd=cwd or self.root,
            start_new_session=start_new_session,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    def _where(self, args: Iterable[str]) -> list[str]:
        given = "--matrix" in args or "init" in args
        return [] if given else ["--matrix", str(self.root / "matrix.toml")]

    @property
    def workspace(self) -> Workspace:
        return open_workspace(self.root / "matrix.toml")

    def path(self, cell: str, name: str = "lock.json") -> Path:
        return self.root / "envs" / cell / name

    def read(self, cell: str, name: str = "lock.json") -> str:
        return self.path(cell, name).read_text(encoding="utf-8")

    def locks(self) -> Iterator[Path]:
        return (self.root / "envs").glob("*/*/lock.json")

    def files(self, part: str = "") -> dict[str, bytes]:
        """Everything below envs/ but the run lock: path to bytes."""
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in sorted((self.root / "envs").rglob("*"))
            if path.is_file() and path.name != ".lock" and part in str(path)
        }


def end(process: subprocess.Popen[str], seconds: float = 60) -> Ended:
    """Wait for it."""
    out, err = process.communicate(timeout=seconds)
    return Ended(process.returncode, out, err)


def isolate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment of nothing but the ways to programs, with a home and caches below `folder`."""
    for name in list(os.environ):
        if name not in HELD:
            monkeypatch.delenv(name)
    for name, path in {
        "HOME": "home",
        "XDG_CACHE_HOME": "cache",
        "XDG_CONFIG_HOME": "config",
        "UV_CACHE_DIR": "cache/uv",
        "TMPDIR": "tmp",
    }.items():
        (folder / path).mkdir(parents=True, exist_ok=True)
        monkeypatch.setenv(name, str(folder / path))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_HTTP_TIMEOUT", "5")
    monkeypatch.setattr(os, "fsync", lambda _: None)  # in this process: the killed ones have it


@contextmanager
def a_world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    site = Site()
    with ExitStack() as stack:
        url = stack.enter_context(serving(site))
        world = World(url, site, stack.close)
        world.publish()
        monkeypatch.setenv("CONDA_CHANNEL_ALIAS", url)
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"{url}/simple")
        yield world


@pytest.fixture(scope="session")
def locked_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a first run makes of the matrix: the same for every test, whatever port its servers have."""
    folder = tmp_path_factory.mktemp("locked")
    with pytest.MonkeyPatch.context() as monkeypatch:
        isolate(folder, monkeypatch)
        with a_world(monkeypatch):
            Project(folder).write()
            Project(folder).run("env")
    return folder / "envs"


@pytest.fixture(autouse=True)
def sandbox(
    request: pytest.FixtureRequest, locked_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For all but the tests that need this machine's own ways to the network."""
    if not any(request.node.get_closest_marker(name) for name in ("network", "environment")):
        isolate(tmp_path, monkeypatch)


@pytest.fixture
def world(sandbox: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A server with everything that the matrix of `project` asks for."""
    with a_world(monkeypatch) as world:
        yield world


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Not locked yet."""
    (tmp_path / "project").mkdir()
    project = Project(tmp_path / "project")
    project.write()
    return project


@pytest.fixture
def locked(project: Project, locked_once: Path) -> Project:
    """Every cell is locked, and no cache knows anything."""
    shutil.copytree(locked_once, project.root / "envs")
    return project
