"""build: what a prefix says of itself, held against a lock; markers, interpreters and choices."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from samples import cell, conda, lock_of, locked_workspace

from metalock.adapters.building import MARKER, discard, is_half_built, is_vacant, under_construction
from metalock.errors import UsageError
from metalock.lock.model import CondaPackage, Lock
from metalock.platforms import Platform, platform_of
from metalock.prefix.check import backend_of, check_prefix, same_version
from metalock.prefix.choose import choose, choose_for, this_platform
from metalock.prefix.model import Backend, expected_distributions
from metalock.prefix.record import SoundFiles

PYTHON = conda("python", "3.11.9")
PIP = conda("pip", "25.0", depends=["python"])
LOCK = lock_of(cell(), (PIP, PYTHON), {"numpy": "2.0.2", "tensorflow": "2.18.1"})
SITE = "lib/python3.11/site-packages"


def install(prefix: Path, name: str, version: str, *, record: bool = True) -> Path:
    """As a client unpacks a wheel."""
    info = prefix / SITE / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nx\n")
    module = prefix / SITE / f"{name}.py"
    module.write_text(f"version = {version!r}\n")
    digest = urlsafe_b64encode(sha256(module.read_bytes()).digest()).rstrip(b"=").decode()
    if record:
        size = module.stat().st_size
        lines = [f"{name}.py,sha256={digest},{size}", f"{name}.pyc,,", f"{info.name}/RECORD,,"]
        (info / "RECORD").write_text("\n".join(lines) + "\n")
    return module


def make_venv(prefix: Path, python: str = "3.11.2", key: str = "version_info") -> Path:
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin" / "python").touch()
    (prefix / "pyvenv.cfg").write_text(f"home = /usr/bin\n{key} = {python}\n")
    for name, version in expected_distributions(LOCK, Backend.VENV).items():
        install(prefix, name, version)
    return prefix


def record_conda(prefix: Path, package: CondaPackage, files: list[str]) -> Path:
    path = prefix / "conda-meta" / f"{package.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**package.record, "files": files}))
    return path


def make_conda(prefix: Path) -> Path:
    install(prefix, "pip", "25.0", record=False)
    record_conda(prefix, PIP, [f"{SITE}/pip-25.0.dist-info/METADATA", f"{SITE}/pip.py", f"{SITE}/pip.pyc"])
    (prefix / "bin").mkdir()
    (prefix / "bin" / "python").touch()
    record_conda(prefix, PYTHON, ["bin/python"])
    for package in LOCK.pip:
        install(prefix, package.name, package.version)
    return prefix


def told(prefix: Path, lock: Lock = LOCK) -> list[tuple[str, str]]:
    return [(finding.rule.code, finding.where) for finding in check_prefix(lock, prefix)]


@pytest.mark.parametrize("key", ["version", "version_info"])
def test_a_venv_as_locked(tmp_path: Path, key: str) -> None:
    make_venv(tmp_path, key=key)
    assert told(tmp_path) == []
    assert backend_of(tmp_path) is Backend.VENV


def test_a_conda_prefix_as_locked(tmp_path: Path) -> None:
    make_conda(tmp_path)
    assert told(tmp_path) == []
    assert backend_of(tmp_path) is Backend.CONDA


def test_no_prefix(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no environment"):
        backend_of(tmp_path)


def test_another_python(tmp_path: Path) -> None:
    make_venv(tmp_path)
    assert ("B005", str(tmp_path)) in told(tmp_path, replace(LOCK, python="3.12.1"))
    (tmp_path / "bin" / "python").unlink()
    (tmp_path / "bin" / "python").symlink_to("/nowhere/python")
    (finding,) = check_prefix(LOCK, tmp_path)
    assert finding.detail == "its interpreter is gone"


def test_other_missing_and_extra_wheels(tmp_path: Path) -> None:
    make_venv(tmp_path)
    install(tmp_path, "numpy", "2.0.1")
    install(tmp_path, "wrapt", "1.0")
    (tmp_path / SITE / "old.egg-info").write_text("Name: old\nVersion: 1\n")
    for path in (tmp_path / SITE / "tensorflow-2.18.1.dist-info").iterdir():
        path.unlink()
    (tmp_path / SITE / "tensorflow-2.18.1.dist-info").rmdir()
    found = set(told(tmp_path))
    assert found >= {("B001", "tensorflow"), ("B002", "numpy"), ("B003", "wrapt"), ("B003", "old")}
    assert ("B003", "numpy") in found, "it is there twice"


def test_files_against_their_record(tmp_path: Path) -> None:
    make_venv(tmp_path)
    numpy = tmp_path / SITE / "numpy.py"
    numpy.write_text(numpy.read_text().replace("2", "3"))
    (tmp_path / SITE / "tensorflow.py").unlink()
    (tmp_path / SITE / "pip-25.0.dist-info" / "RECORD").unlink()
    details = {finding.where: finding.detail for finding in check_prefix(LOCK, tmp_path)}
    assert details == {
        "numpy": "numpy.py has changed",
        "tensorflow": "tensorflow.py is missing",
        "pip": "pip-25.0.dist-info has no RECORD",
    }


def test_what_was_found_right_is_not_read_again(tmp_path: Path) -> None:
    make_venv(tmp_path)
    module = tmp_path / SITE / "numpy.py"
    (tmp_path / "linked").hardlink_to(module)
    sound = SoundFiles()
    assert check_prefix(LOCK, tmp_path, sound=sound) == []
    assert sound.learnt == 1
    assert check_prefix(LOCK, tmp_path, sound=sound) == []
    assert sound.learnt == 1
    module.write_text(module.read_text().replace("2", "3"))
    assert [f.where for f in check_prefix(LOCK, tmp_path, sound=sound)] == ["numpy"]
    assert sound.learnt == 1


def test_condas_records(tmp_path: Path) -> None:
    make_conda(tmp_path)
    record_conda(tmp_path, replace(PIP, record={**PIP.record, "build": "h1_1"}), [f"{SITE}/gone.py"])
    record_conda(tmp_path, replace(PYTHON, record={**PYTHON.record, "sha256": "0" * 64}), [])
    record_conda(tmp_path, conda("zlib"), [])
    (tmp_path / "conda-meta" / "broken.json").write_text("{")
    found = set(told(tmp_path))
    expected = {("B002", "pip"), ("B004", "pip"), ("B002", "python"), ("B003", "zlib")}
    assert found >= expected | {("B004", str(tmp_path))}


def test_equal_versions() -> None:
    assert same_version("1.0", "1.0.0")
    assert not same_version("1.0", "1.0.1")
    assert not same_version("x y", "1.0")


def test_marked_while_it_is_built(tmp_path: Path) -> None:
    prefix = tmp_path / "it"
    assert is_vacant(prefix)
    with under_construction(prefix):
        assert is_half_built(prefix)
    assert not is_half_built(prefix)
    with pytest.raises(KeyError), under_construction(prefix):
        raise KeyError
    assert is_half_built(prefix)
    (prefix / "lib").mkdir()
    said: list[str] = []
    discard(prefix, said.append)
    assert list(tmp_path.iterdir()) == []
    assert said == []


def test_a_half_prefix_is_told(tmp_path: Path) -> None:
    make_venv(tmp_path)
    (tmp_path / MARKER).touch()
    assert told(tmp_path) == [("B006", str(tmp_path))]


@pytest.mark.parametrize(
    ("system", "machine", "platform"),
    [
        ("darwin", "arm64", Platform.OSX_ARM64),
        ("darwin", "x86_64", Platform.OSX_64),
        ("linux", "x86_64", Platform.LINUX_64),
        ("linux", "aarch64", None),
        ("win32", "AMD64", None),
    ],
)
def test_platforms(system: str, machine: str, platform: Platform | None) -> None:
    assert platform_of(system, machine) is platform
    if platform is None:
        with pytest.raises(UsageError, match=f"no environment can be built on {system} {machine}"):
            this_platform(None, (system, machine))
        return
    assert this_platform(None, (system, machine)) is platform
    other = next(p for p in Platform if p is not platform)
    with pytest.raises(UsageError, match=f"a lock for {other} can't be built here"):
        this_platform(other, (system, machine))


def test_an_environment_that_is_not_locked(tmp_path: Path) -> None:
    workspace = locked_workspace(tmp_path)
    assert choose(workspace, "tf2.18-py3.11", Platform.LINUX_64).env == "tf2.18-py3.11"
    (tmp_path / "envs/linux-64/tf2.18-py3.11/lock.json").unlink()
    with pytest.raises(UsageError, match="not locked yet") as caught:
        choose(workspace, "tf2.18-py3.11", Platform.LINUX_64)
    assert caught.value.hint == "Run `metalock env --platform linux-64 --env tf2.18-py3.11` to lock it."


def test_the_lock_for_a_prefix(tmp_path: Path) -> None:
    workspace = locked_workspace(tmp_path)
    named, other = tmp_path / "tf2.18-py3.10", tmp_path / "other"
    for prefix in (named, other):
        make_venv(prefix)
    chosen = choose_for(workspace, named, Platform.LINUX_64)
    assert chosen.env == "tf2.18-py3.10"
    assert "which the folder is named after" in chosen.note
    chosen = choose_for(workspace, other, Platform.LINUX_64)
    assert chosen.env == "tf2.18-py3.11"
    assert "the closest lock" in chosen.note
    with pytest.raises(UsageError, match="there is no lock for osx-64"):
        choose_for(workspace, other, Platform.OSX_64)
