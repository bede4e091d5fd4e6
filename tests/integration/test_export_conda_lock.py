"""What `metalock export conda-lock` writes, read by conda-lock and by pip; the index is a server here."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from metalock.adapters.index import PackageIndex
from metalock.adapters.settings import read_settings
from metalock.cli import main
from metalock.lock.model import CondaPackage, Lock, PipPackage, cell_inputs, lock_digest
from metalock.lock.text import lock_text
from metalock.matrix.model import Cell
from metalock.platforms import Platform
from metalock.workspace import LOCK_FILE, Workspace, open_workspace

CHANNEL = "https://conda.example.invalid/forge"
CONDA_LOCK = Path(sys.executable).with_name("conda-lock")
ENV = "tf2.16-py3.11"
TAGS = {
    Platform.OSX_ARM64: "macosx_12_0_arm64",
    Platform.OSX_64: "macosx_10_15_x86_64",
    Platform.LINUX_64: "manylinux_2_17_x86_64",
}
MATRIX = """
schema = 1
channels = ["https://conda.example.invalid/forge"]
exclude-newer = 2026-01-01T00:00:00Z

[packages]
conda = { pip = "*" }
pip = { six = "*" }

[platform.osx-arm64]
macos = "12.0"
default = "tf2.16-py3.11"

[platform.osx-64]
macos = "12.0"
default = "tf2.16-py3.11"

[platform.linux-64]
glibc = "2.28"
default = "tf2.16-py3.11"

[stack."tf2.17"]
python = ["3.11"]
tensorflow = "2.17.1"
variables = { TF_USE_LEGACY_KERAS = "1" }

[stack."tf2.17".osx-64]
unavailable = "no such wheel"

[stack."tf2.16"]
python = ["3.11"]
tensorflow = "2.16.2"
"""


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_wheel(name: str, version: str) -> bytes:
    """The smallest wheel that pip installs."""
    info = f"{name}-{version}.dist-info"
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as wheel:
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return buffer.getvalue()


SIX_FILE = "six-1.17.0-py3-none-any.whl"
SIX = make_wheel("six", "1.17.0")


class Index:
    """A package index (PEP 503) on this machine: the hash that it states for each wheel."""

    def __init__(self) -> None:
        self.stated: dict[str, str | None] = {}
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = index.answer(self.path.partition("?")[0])
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "x/wheel")
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"

    def answer(self, path: str) -> bytes | None:
        if path == f"/files/{SIX_FILE}":
            return SIX
        links = [
            f'<a href="../../files/{file}?sign=abc{f"#sha256={stated}" if stated else ""}">{file}</a>'
            for file, stated in self.stated.items()
            if path == f"/simple/{file.partition('-')[0]}/"
        ]
        return f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>".encode() if links else None


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    index = Index()
    thread = threading.Thread(target=index.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://me:hush@{index.host}/simple/")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield index
    index.server.shutdown()
    thread.join()
    index.server.server_close()


def conda_package(name: str, version: str, subdir: str, *depends: str) -> CondaPackage:
    file = f"{name}-{version}-0.conda"
    record = {
        "build": "0",
        "build_number": 0,
        "depends": list(depends),
        "fn": file,
        "md5": hashlib.md5(f"{subdir}/{file}".encode(), usedforsecurity=False).hexdigest(),
        "name": name,
        "sha256": sha256(f"{subdir}/{file}".encode()),
        "size": 1,
        "subdir": subdir,
        "version": version,
    }
    return CondaPackage(channel=CHANNEL, record=record)


def make_lock(cell: Cell) -> Lock:
    version = cell.tensorflow.specifier.removeprefix("==")
    file = f"tensorflow-{version}-cp311-cp311-{TAGS[cell.platform]}.whl"
    return Lock(
        platform=cell.platform,
        python="3.11.15",
        floor=cell.floor,
        inputs=cell_inputs(cell),
        conda=(
            conda_package("libzlib", "1.10", cell.platform, "__unix"),
            conda_package("pip", "26.0", "noarch", "python >=3.10", "python"),
            conda_package("python", "3.11.15", cell.platform, "libzlib 1.10 0", "libzlib >=1", "pip"),
        ),
        pip=(
            PipPackage(name="six", version="1.17.0", file=SIX_FILE, sha256=sha256(SIX), size=9),
            PipPackage(name="tensorflow", version=version, file=file, sha256=sha256(file.encode()), size=9),
        ),
    )


@pytest.fixture
def workspace(tmp_path: Path, index: Index) -> Workspace:
    """Locked in full; the index has every wheel."""
    (tmp_path / "matrix.toml").write_text(MATRIX, encoding="utf-8")
    workspace = open_workspace(tmp_path / "matrix.toml")
    for cell in workspace.cells():
        if cell.unavailable is None:
            lock = make_lock(cell)
            index.stated |= {package.file: package.sha256 for package in lock.pip}
            workspace.folder(cell).mkdir(parents=True)
            for name, text in {LOCK_FILE: lock_text(lock), **workspace.render(cell, lock)}.items():
                (workspace.folder(cell) / name).write_text(text, encoding="utf-8")
    return workspace


def locks(workspace: Workspace) -> list[Lock]:
    return [lock for c in workspace.cells() if c.env == ENV and (lock := workspace.state(c).lock)]


def export(workspace: Workspace, env: str = ENV) -> Result:
    return CliRunner().invoke(main, ["export", "conda-lock", env, "--matrix", str(workspace.matrix_file)])


def exported(workspace: Workspace) -> Path:
    result = export(workspace)
    assert result.exit_code == 0, result.output
    return workspace.root / "exports" / f"{ENV}.conda-lock.yml"


def conda_lock(*args: str | Path, cwd: Path, **env: str) -> None:
    subprocess.run([CONDA_LOCK, *args], cwd=cwd, env=os.environ | env, check=True, capture_output=True)


def lines(text: str, pattern: str) -> set[tuple[str, ...]]:
    """The groups of each line that is matched in full."""
    return {match.groups() for line in text.splitlines() if (match := re.fullmatch(pattern, line))}


def test_what_conda_lock_renders_is_what_we_render(workspace: Workspace) -> None:
    platforms = [f"--platform={platform}" for platform in Platform]
    conda_lock("render", "--kind=explicit", *platforms, exported(workspace), cwd=workspace.root)
    for lock in locks(workspace):
        folder = workspace.envs / lock.platform / ENV
        theirs = (workspace.root / f"conda-{lock.platform}.lock").read_text()
        ours = (folder / "conda.lock").read_text()
        urls = lines(theirs, r"(http.*)#[0-9a-f]{32}")
        assert urls == lines(ours, r"(http.*)#sha256:[0-9a-f]{64}")
        assert len(urls) == 3
        ours = (folder / "requirements.txt").read_text()
        pins = lines(theirs, r"# pip (\S+) @ http\S+/[^/-]+-([^/-]+)-\S+\.whl#sha256=(\S+)")
        assert pins == lines(ours, r"(\S+)==(\S+) --hash=sha256:(\S+)")
        assert len(pins) == 2
        assert f"# input_hash: {lock_digest(lock)}" in theirs.splitlines()


def test_what_conda_lock_parses_is_the_lock(workspace: Workspace) -> None:
    path = exported(workspace)
    from conda_lock.lockfile import parse_conda_lock_file, write_conda_lock_file

    parsed = parse_conda_lock_file(path)
    conda = {
        (lock.platform, p.name, p.version, p.url, p.record["md5"], p.sha256)
        for lock in locks(workspace)
        for p in lock.conda
    }
    pip = {
        (lock.platform, p.name, p.version, p.file, None, p.sha256)
        for lock in locks(workspace)
        for p in lock.pip
    }
    for manager, expected in (("conda", conda), ("pip", pip)):
        packages = [p for p in parsed.package if p.manager == manager]
        read = {
            (p.platform, p.name, p.version, p.url, p.hash.md5, p.hash.sha256)
            if manager == "conda"
            else (p.platform, p.name, p.version, Path(p.url).name, p.hash.md5, p.hash.sha256)
            for p in packages
        }
        assert read == expected
        assert len(packages) == len(expected)
    assert parsed.metadata.content_hash == {lock.platform: lock_digest(lock) for lock in locks(workspace)}

    again = workspace.root / "again.yml"
    write_conda_lock_file(parsed, again, metadata_choices=None, include_help_text=False)
    header, body = path.read_text().split("version: 1\n", 1)
    assert again.read_text() == f"version: 1\n{body}"
    assert all(line.startswith("# ") for line in header.splitlines())


def install(workspace: Workspace, platform: Platform) -> tuple[str, str]:
    """What `conda-lock install` gives to conda and then to pip; a stand-in for conda keeps it."""
    stand_in = workspace.root / "conda"
    stand_in.write_text(
        '#!/bin/sh\nfor arg in "$@"; do\n  case "$last" in --file|-r) cp "$arg" "$KEPT/given$last";; esac\n'
        "  last=$arg\ndone\n",
        encoding="utf-8",
    )
    stand_in.chmod(0o755)
    options = ["--conda", str(stand_in), "--name", "x", "--force-platform", platform]
    conda_lock("install", *options, exported(workspace), cwd=workspace.root, KEPT=str(workspace.root))
    return (workspace.root / "given--file").read_text(), (workspace.root / "given-r").read_text()


@pytest.mark.parametrize("platform", Platform)
def test_conda_lock_installs_the_lock(workspace: Workspace, platform: Platform) -> None:
    explicit, requirements = install(workspace, platform)
    (lock,) = (lock for lock in locks(workspace) if lock.platform == platform)
    assert lines(explicit, r"(http.*)#(.*)") == {(p.url, p.record["md5"]) for p in lock.conda}
    assert lines(requirements, r".*#sha256=(.*)") == {(p.sha256,) for p in lock.pip}


def test_pip_takes_the_urls_and_holds_them_to_their_hash(workspace: Workspace) -> None:
    _, requirements = install(workspace, Platform.OSX_ARM64)
    ((wheel,),) = lines(requirements, r"(.*none-any.*)")
    target = str(workspace.root / "target")
    pip = [sys.executable, "-m", "pip", "--isolated", "install", "--no-deps", "--target", target]
    subprocess.run([*pip, wheel], check=True, capture_output=True)
    assert (workspace.root / "target" / "six-1.17.0.dist-info").is_dir()
    tampered = wheel.replace(sha256(SIX), "0" * 64)
    assert subprocess.run([*pip, tampered], check=False, capture_output=True).returncode != 0


def test_the_same_locks_give_the_same_bytes(workspace: Workspace) -> None:
    path = exported(workspace)
    before = path.read_bytes()
    assert "up to date: osx-arm64, osx-64, linux-64" in export(workspace).output
    path.unlink()
    assert "written: osx-arm64, osx-64, linux-64" in export(workspace).output
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_no_credentials(workspace: Workspace, index: Index) -> None:
    (listed,) = PackageIndex(read_settings().index_url).wheels("six").values()
    assert listed.url == f"http://me:hush@{index.host}/files/{SIX_FILE}?sign=abc"
    output = export(workspace).output
    text = exported(workspace).read_text()
    assert "left out of 4 wheel URLs" in output
    assert f"url: http://{index.host}/files/{SIX_FILE}\n" in text
    for secret in ("me@", "hush", "sign="):
        assert secret not in text + output


def test_channels_are_not_matched_against_variables(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = exported(workspace).read_text()
    assert f"  - url: {CHANNEL}\n    used_env_vars: []\n" in before
    for variable in ("SOME_TOKEN", "SOME_USER"):
        monkeypatch.setenv(variable, "forge")
    assert exported(workspace).read_text() == before


def test_wheels_gone_or_changed_are_reported_together(workspace: Workspace, index: Index) -> None:
    mac, linux = (
        f"tensorflow-2.16.2-cp311-cp311-{TAGS[p]}.whl" for p in (Platform.OSX_64, Platform.LINUX_64)
    )
    del index.stated[mac]
    index.stated[linux] = "0" * 64
    index.stated[SIX_FILE] = None
    result = export(workspace)
    assert result.exit_code == 4
    assert f"{mac}: the index does not list it" in result.output
    assert f"{linux}: locked sha256 {sha256(linux.encode())}, the index says {'0' * 64}" in result.output
    assert f"{SIX_FILE}: locked sha256 {sha256(SIX)}, the index says none" in result.output
    assert not (workspace.root / "exports").exists()


def test_only_current_locks_are_exported(workspace: Workspace) -> None:
    text = MATRIX.replace('macos = "12.0"', 'macos = "12.1"', 1)
    workspace.matrix_file.write_text(text, encoding="utf-8")
    (workspace.envs / "osx-64" / ENV / LOCK_FILE).unlink()
    with (workspace.envs / "linux-64" / ENV / "conda.lock").open("a") as file:
        file.write("#\n")
    result = export(workspace)
    assert result.exit_code == 2
    assert f"osx-arm64/{ENV}: the matrix has changed since it was locked" in result.output
    assert f"osx-64/{ENV}: not locked yet" in result.output
    assert f"linux-64/{ENV}: conda.lock is not what" in result.output
    assert f"`metalock env --env {ENV}`" in result.output
    assert not (workspace.root / "exports").exists()


def test_platforms_without_it_are_left_out_and_reported(workspace: Workspace) -> None:
    result = export(workspace, "tf2.17-py3.11")
    assert result.exit_code == 0
    assert "left out: osx-64/tf2.17-py3.11: no such wheel" in result.output
    assert "conda-lock.yml cannot hold variables: set TF_USE_LEGACY_KERAS" in result.output
    text = (workspace.root / "exports" / "tf2.17-py3.11.conda-lock.yml").read_text()
    assert "platform: osx-64" not in text
    assert "  - linux-64\n  - osx-arm64\n  sources:\n  - matrix.toml\n" in text


def test_importing_conda_lock_leaves_no_trace(workspace: Workspace) -> None:
    script = (
        "import logging, os, sys, warnings\n"
        "import metalock.adapters.index\n"
        "from metalock.cli import main\n"
        "def world(): return dict(os.environ), list(warnings.filters), list(logging.root.handlers)\n"
        "before = world()\n"
        "main(sys.argv[1:], standalone_mode=False)\n"
        "assert 'conda_lock' in sys.modules\n"
        "assert world() == before\n"
    )
    args = ["export", "conda-lock", ENV, "--matrix", str(workspace.matrix_file)]
    command = [sys.executable, "-W", "error", "-c", script, *args]
    result = subprocess.run(command, check=False, capture_output=True, text=True, cwd=workspace.root)
    assert result.returncode == 0, result.stderr
    assert len(result.stderr.splitlines()) == 3, result.stderr
