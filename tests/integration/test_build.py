"""`metalock build` with the real engines, on a channel and an index that this machine makes itself."""

from __future__ import annotations

import io
import json
import os
import platform
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from integration.conda_channel import Packed, pack, pack_interpreter, pack_wheel, publish, with_conda_part
from integration.conftest import Ended, Project, World, end
from integration.index import Wheel, make_wheel
from integration.servers import wait_until
from metalock.adapters import conda, conda_install
from metalock.adapters.building import MARKER, is_half_built, is_vacant
from metalock.audit.wheel import read_wheel
from metalock.lock.model import Lock, PipPackage, cell_inputs
from metalock.lock.text import lock_text
from metalock.platforms import platform_of
from metalock.records import table_text

HERE = platform_of(sys.platform, platform.machine())
pytestmark = pytest.mark.skipif(HERE is None, reason="no locks for this machine")
MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"
ENV = f"tf2.18-py{MINOR}"
MATRIX = f"""\
schema = 1
channels = ["conda-forge"]
exclude-newer = 2026-08-21T00:00:00Z

[packages]
conda = {{ pip = "*" }}
from-conda = ["packaging", "setuptools"]

[platform.{HERE}]
{HERE.floor_key if HERE else ""} = "{"2.28" if HERE and not HERE.is_macos else "12.0"}"
default = "{ENV}"

[stack."tf2.18"]
python = ["{MINOR}"]
tensorflow = "2.18.1"
"""
ROUNDS = 2
WHEEL, CONDA_PACKAGE = r"/files/numpy.*whl$", r"/packaging-.*conda$"
"""What is asked of the server for one of each."""
PIP_PART = ("tensorflow", "numpy", "keras")


def record_of(wheel: Wheel) -> str:
    """Return what the audit finds of its RECORD."""
    assert HERE is not None
    return read_wheel(io.BytesIO(wheel.body), wheel.file, wheel.sha256, HERE).record


def module(name: str, version: str) -> Wheel:
    """A wheel with a package and a script."""
    files = {
        f"{name}/__init__.py": f"__version__ = {version!r}\n".encode(),
        f"{name}/data.bin": bytes(1000),
        f"{name}-{version}.dist-info/entry_points.txt": f"[console_scripts]\n{name} = {name}:run\n".encode(),
    }
    return make_wheel(name, version, files=files)


WHEELS = [module(name, version) for name, version in zip(PIP_PART, ("2.18.1", "2.0.2", "3.6.0"), strict=True)]
SPREAD = {
    "numpy/__init__.py": b"",
    f"numpy/__pycache__/__init__.{sys.implementation.cache_tag}.pyc": b"compiled elsewhere",
    "numpy-2.0.2.data/purelib/numpy/more.py": b"",
    "numpy-2.0.2.data/scripts/f2py": b"#!python\nprint()\n",
    "numpy-2.0.2.data/headers/numpy/n.h": b"int n;\n",
    "numpy-2.0.2.data/data/share/n.txt": b"text\n",
    "numpy-2.0.2.dist-info/entry_points.txt": b"[console_scripts]\nnumpy-config = numpy:run\n",
}
"""Files of a wheel that installers move, change or compile."""
SEEDS = [module("packaging", "25.0"), module("setuptools", "80.9.0")]


@pytest.fixture(scope="session")
def conda_part() -> list[Packed]:
    """This interpreter, two Python packages, and one that is not."""
    assert HERE is not None
    data = pack("tzdata", "2026a", {}, subdir="noarch")
    interpreter = pack_interpreter(Path(sys.executable), subdir=HERE)
    return [interpreter, *(pack_wheel(wheel.body, wheel.file) for wheel in SEEDS), data]


@dataclass(frozen=True, slots=True)
class Yard:
    """Where things are built."""

    project: Project
    world: World
    prefix: Path
    conda_part: list[Packed]

    def relock(self, wheels: list[Wheel]) -> None:
        """Serve these, and lock them."""
        self.world.wheels = [*wheels, *SEEDS]
        self.world.publish()
        publish(self.world.site, self.conda_part)
        self.project.write(MATRIX)
        workspace = self.project.workspace
        (cell,) = workspace.cells()
        pip = [
            PipPackage(
                name=w.project, version=w.file.split("-")[1], file=w.file, sha256=w.sha256, size=len(w.body)
            )
            for w in sorted(wheels, key=lambda wheel: wheel.project)
        ]
        empty = Lock(
            platform=cell.platform,
            python="",
            floor=cell.floor,
            inputs=cell_inputs(cell),
            conda=(),
            pip=tuple(pip),
        )
        lock = with_conda_part(empty, self.conda_part)
        folder = workspace.folder(cell)
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in {"lock.json": lock_text(lock), **workspace.render(cell, lock)}.items():
            (folder / name).write_text(text, encoding="utf-8")
        records = {wheel.sha256: record_of(wheel) for wheel in wheels}
        workspace.records_file.write_text(table_text(records), encoding="utf-8")

    def build(self, *args: str, code: int = 0) -> Ended:
        return self.project.run("build", ENV, "--prefix", str(self.prefix), *args, code=code)

    def check(self, *args: str, code: int = 0) -> Ended:
        return self.project.run("build", "--check", str(self.prefix), *args, code=code)

    def spawn(self, *args: str) -> subprocess.Popen[str]:
        return self.project.spawn("build", ENV, "--prefix", str(self.prefix), *args)

    def codes(self) -> list[str]:
        ended = self.project.run("build", "--check", str(self.prefix), "--json", code=1)
        return [finding["code"] for finding in json.loads(ended.out)["findings"]]

    @property
    def site(self) -> Path:
        return self.prefix / "lib" / f"python{MINOR}" / "site-packages"

    def runs(self) -> str:
        """The interpreter there, and what it imports."""
        program = "import sys, tensorflow, setuptools; print(sys.prefix, tensorflow.__version__)"
        done = subprocess.run(
            [self.prefix / "bin" / "python", "-c", program], check=True, capture_output=True, encoding="utf-8"
        )
        return done.stdout.strip()


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter is unpacked once; what a test wants fetched, it drops."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def yard(
    project: Project,
    world: World,
    conda_part: list[Packed],
    shared_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Yard:
    monkeypatch.setenv("METALOCK_CACHE_DIR", str(shared_cache))
    for path in (shared_cache / "pkgs").glob("packaging-*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    yard = Yard(project, world, tmp_path / "built here" / "it", conda_part)
    yard.relock(WHEELS)
    return yard


BACKENDS = {"conda": (), "venv": ("--backend", "venv", "--python", sys.executable)}


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return BACKENDS[str(request.param)]


def test_built_checked_and_left_alone(yard: Yard, backend: tuple[str, ...]) -> None:
    built = yard.build(*backend)
    name = "venv" if backend else "conda"
    assert f"{HERE}/{ENV} built in " in built.out
    assert f"backend {name}: " in built.out
    assert yard.runs() == f"{yard.prefix} 2.18.1"
    yard.world.site.asked.clear()
    again = yard.build(*backend)
    assert "up to date" in again.out
    assert yard.world.site.asked == []
    checked = yard.check("--json")
    row = json.loads(checked.out)
    assert (row["backend"], row["findings"], row["env"]) == (name, [], ENV)
    assert not (yard.prefix / MARKER).exists()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere files are cloned, which no link count shows")
def test_files_are_linked_where_they_can_be(yard: Yard, backend: tuple[str, ...]) -> None:
    yard.build(*backend)
    assert (yard.site / "numpy" / "data.bin").stat().st_nlink > 1
    if not backend:
        (library,) = {path.resolve() for path in (yard.prefix / "lib").glob("python3*/os.py")}
        assert library.stat().st_nlink > 1


def damage_file(yard: Yard) -> None:
    (yard.site / "numpy" / "data.bin").unlink()
    (yard.site / "numpy" / "data.bin").write_bytes(bytes(999) + b"!")


def damage_linked_file(yard: Yard) -> None:
    """Through the link into uv's cache, with the time put back."""
    path = yard.site / "numpy" / "data.bin"
    before = path.stat()
    path.write_bytes(bytes(999) + b"!")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def remove_file(yard: Yard) -> None:
    (yard.site / "keras" / "__init__.py").unlink()


def change_version(yard: Yard) -> None:
    path = yard.site / "numpy-2.0.2.dist-info" / "METADATA"
    text = path.read_text(encoding="utf-8").replace("Version: 2.0.2", "Version: 2.0.1")
    path.unlink()
    path.write_text(text, encoding="utf-8")


def add_package(yard: Yard) -> None:
    shutil.copytree(yard.site / "keras-3.6.0.dist-info", yard.site / "wrapt-1.0.dist-info")
    (yard.site / "wrapt-1.0.dist-info" / "METADATA").unlink()


def drop_package(yard: Yard) -> None:
    shutil.rmtree(yard.site / "keras-3.6.0.dist-info")


def empty_record(yard: Yard) -> None:
    shutil.rmtree(yard.site / "keras")
    (yard.prefix / "bin" / "keras").unlink()
    path = yard.site / "keras-3.6.0.dist-info" / "RECORD"
    path.unlink()  # a link into uv's cache
    path.touch()


def add_module(yard: Yard) -> None:
    (yard.site / "sitecustomize.py").touch()


def replace_interpreter(yard: Yard) -> None:
    path = yard.prefix / "bin" / "python"
    path.unlink()
    path.write_text("#!/bin/sh\n")


def link_outside(yard: Yard) -> None:
    (yard.prefix / "lib" / "libm.so").symlink_to("/etc/hosts")


def drop_interpreter(yard: Yard) -> None:
    (yard.prefix / "bin" / "python").unlink()


def leave_half(yard: Yard) -> None:
    (yard.prefix / MARKER).touch()


@pytest.mark.parametrize(
    ("damage", "codes"),
    [
        (damage_file, ["B004"]),
        (damage_linked_file, ["B004"]),
        (remove_file, ["B004"]),
        (change_version, ["B002", "B004"]),
        (add_package, ["B003"]),
        (drop_package, ["B001", "B008"]),
        (empty_record, ["B004", "B007"]),
        (add_module, ["B008"]),
        (replace_interpreter, ["B005"]),
        (link_outside, ["B009"]),
        (drop_interpreter, ["B005"]),
        (leave_half, ["B006"]),
    ],
)
def test_a_check_finds(yard: Yard, damage: Callable[[Yard], None], codes: list[str]) -> None:
    yard.build(*BACKENDS["venv"])
    damage(yard)
    assert yard.codes() == codes
    if damage is leave_half:
        assert "left incomplete by an interrupted build" in yard.build(*BACKENDS["venv"]).err
        yard.check()
    elif damage is not damage_linked_file:
        refused = yard.build(*BACKENDS["venv"], code=2)
        assert f"Remove it (rm -r '{yard.prefix}')" in refused.err
        assert yard.prefix.is_dir()


def test_a_check_of_conda_packages(yard: Yard) -> None:
    yard.build()
    meta = yard.prefix / "conda-meta"
    (record,) = meta.glob("setuptools-*.json")
    text = record.read_text(encoding="utf-8")
    record.write_text(text.replace('"build": "py_0"', '"build": "py_1"'), encoding="utf-8")
    (record,) = meta.glob("tzdata-*.json")
    record.rename(meta / "zlib-1.json")
    (meta / "zlib-1.json").write_text(text.replace("setuptools", "zlib"), encoding="utf-8")
    (yard.site / "packaging" / "__init__.py").unlink()
    library = yard.prefix / "lib" / f"python{MINOR}" / "os.py"
    text = library.read_text(encoding="utf-8")
    library.unlink()
    library.write_text(f"{text}\n", encoding="utf-8")
    findings = json.loads(yard.check("--json", code=1).out)["findings"]
    reported = {(finding["code"], finding["where"]) for finding in findings}
    assert reported >= {("B002", "setuptools"), ("B001", "tzdata"), ("B003", "zlib"), ("B004", "packaging")}
    assert ("B004", "python") in reported


@pytest.mark.parametrize("what", ["wheel", "conda package"])
def test_a_wrong_hash(yard: Yard, what: str) -> None:
    """A mirror that serves something else."""
    if what == "wheel":
        other = make_wheel("numpy", "2.0.2", files={"numpy/__init__.py": b"raise SystemExit"})
        pattern, body = WHEEL, other.body
    else:
        pattern, body = CONDA_PACKAGE, pack("packaging", "25.0", {}, subdir="noarch").body
    with yard.world.site.failing(pattern, garbage=body):
        failed = yard.build(code=4)
    assert "mismatch" in failed.err
    assert "\nhint: " in failed.err
    assert (
        "package index: " if what == "wheel" else "conda channel, read from http://127.0.0.1"
    ) in failed.err
    assert not yard.prefix.exists()
    yard.build()
    yard.check()


@pytest.mark.parametrize("what", [WHEEL, CONDA_PACKAGE])
@pytest.mark.parametrize("how", [{"truncate": True}, {"status": 404}], ids=str)
def test_a_server_that_fails(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, what: str, how: dict[str, object]
) -> None:
    monkeypatch.setattr(conda, "RETRIES", 0)
    with yard.world.site.failing(what, **how):
        failed = yard.build(code=4)
    assert ("package index: " if "whl" in what else "conda channel, read from ") in failed.err
    assert "\nhint: " in failed.err
    assert not yard.prefix.exists()
    if "truncate" in how:
        yard.build()
        yard.check()


def test_a_server_that_falls_silent(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conda_install, "SILENCE", 0.5)
    with yard.world.site.failing(CONDA_PACKAGE, delay=30):
        failed = yard.build(code=4)
    assert "packaging: almost nothing was received for" in failed.err
    assert not yard.prefix.exists()


@pytest.mark.parametrize(
    ("how", "where"),
    [
        (signal.SIGINT, WHEEL),
        (signal.SIGKILL, WHEEL),
        (signal.SIGINT, CONDA_PACKAGE),
        (signal.SIGTERM, CONDA_PACKAGE),
        (signal.SIGKILL, CONDA_PACKAGE),
    ],
)
def test_a_build_that_is_broken_off(yard: Yard, how: signal.Signals, where: str) -> None:
    with yard.world.site.failing(where, delay=1.5):
        process = yard.spawn()
        wait_until(lambda: any(re.search(where, path) for path in yard.world.site.asked))
        process.send_signal(how)
        ended = end(process)
    assert "Traceback" not in ended.err
    if how is signal.SIGKILL:
        assert ended.code == -how
        assert "B006" in yard.codes()
    else:
        assert ended.code == 130
        assert not yard.prefix.exists()
    again = yard.build()
    assert ("left incomplete by an interrupted build" in again.err) is (how is signal.SIGKILL)
    yard.check()
    assert [path.name for path in yard.prefix.parent.iterdir() if path != yard.prefix] == [".it.lock"]


def test_two_at_once(yard: Yard) -> None:
    with yard.world.site.failing(WHEEL, times=1, delay=1.5):
        first = yard.spawn()
        wait_until(lambda: yard.world.asked("/files/numpy"))
        second = end(yard.spawn())
        assert end(first).code == 0
    assert second.code == 0
    assert "waiting for it to end" in second.err
    assert "up to date" in second.out


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of some megabytes; for those who may mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no disk can be mounted")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="tmpfs")
@pytest.mark.parametrize("what", ["conda", "wheels", "cache"])
def test_a_full_disk(yard: Yard, small_disk: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    place = small_disk / "it"
    args: tuple[str, ...] = ("--prefix", str(place))
    if what == "wheels":
        large = make_wheel("numpy", "2.0.2", files={"numpy/data.bin": bytes(6_000_000)})
        yard.relock([WHEELS[0], large, WHEELS[2]])
        args += BACKENDS["venv"]
    elif what == "cache":
        monkeypatch.setenv("METALOCK_CACHE_DIR", str(place))
        args = ("--prefix", str(yard.prefix))
    failed = yard.project.run("build", ENV, *args, code=4)
    assert "no space for " in failed.err
    assert "hint: Free some space" in failed.err
    assert not Path(args[1]).exists()


def test_kept_when_asked(yard: Yard) -> None:
    with yard.world.site.failing(WHEEL, status=403):
        failed = yard.build("--keep-failed", code=4)
    assert f"kept as it is: {yard.prefix}" in failed.err
    assert "B006" in yard.codes()
    yard.build()
    yard.check()


def test_nothing_of_others_is_touched(yard: Yard) -> None:
    yard.prefix.mkdir(parents=True)
    (yard.prefix / "thesis.tex").touch()
    refused = yard.build(code=2)
    assert "nothing is overwritten" in refused.err
    assert (yard.prefix / "thesis.tex").exists()


def test_a_prefix_that_pip_made(yard: Yard) -> None:
    """It writes other records, moves files, and compiles what the wheel brings compiled."""
    numpy = make_wheel("numpy", "2.0.2", files=SPREAD)
    yard.relock([WHEELS[0], numpy, WHEELS[2]])
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", yard.prefix], check=True)
    requirements = yard.project.path(f"{HERE}/{ENV}", "requirements.txt")
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        yard.prefix / "bin" / "python",
        "install",
        "--no-deps",
    ]
    pip += ["--quiet", "--disable-pip-version-check", "--index-url", f"{yard.world.url}/simple"]
    subprocess.run([*pip, "--require-hashes", "--requirement", requirements], check=True)
    assert yard.codes() == ["B001", "B001"]
    subprocess.run([*pip, "packaging==25.0", "setuptools==80.9"], check=True)
    (pyc,) = (path for path in SPREAD if path.endswith(".pyc"))
    assert (yard.site / pyc).read_bytes() != SPREAD[pyc]
    checked = yard.check()
    assert (
        "compared with its own record only, not with its wheel or package: packaging, setuptools"
        in checked.err
    )
    yard.project.workspace.records_file.unlink()
    assert "package: keras, numpy, packaging, setuptools, tensorflow\n" in yard.check().err


def test_a_wheel_that_is_spread_over_the_prefix(yard: Yard, backend: tuple[str, ...]) -> None:
    yard.relock([WHEELS[0], make_wheel("numpy", "2.0.2", files=SPREAD), WHEELS[2]])
    yard.build(*backend)
    yard.check()


def test_the_closest_lock(yard: Yard) -> None:
    yard.build(*BACKENDS["venv"])
    checked = yard.check()
    assert f"compared with {HERE}/{ENV}, the closest lock" in checked.err


def test_broken_off_at_any_moment(yard: Yard) -> None:
    chance = random.Random(2024)
    ended = []
    for how in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL) * ROUNDS:
        was_there = yard.prefix.exists()
        process = yard.spawn()
        time.sleep(chance.uniform(0.3, 1.2))
        process.send_signal(how)
        ended.append(end(process))
        if not is_half_built(yard.prefix) and not is_vacant(yard.prefix):
            yard.check()  # the signal came after the last step
            shutil.rmtree(yard.prefix)
        elif ended[-1].code in (130, -signal.SIGINT, -signal.SIGTERM):
            assert was_there or not yard.prefix.exists(), ended[-1]
    yard.build()
    yard.check()
    assert [path.name for path in yard.prefix.parent.iterdir() if path != yard.prefix] == [".it.lock"]
