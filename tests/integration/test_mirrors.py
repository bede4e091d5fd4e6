"""Servers named by settings: read from there, and the locks say nothing of it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from integration.conftest import Project, World, end

WORD = "s3cr3t"
ONE = ("--env", "tf2.17-py3.11")


def path_of(variable: str, *parts: str) -> Path:
    return Path(os.environ[variable], *parts)


CHANNELS = {
    "channel_alias": "channel_alias: {url}\n",
    "custom_channels": "custom_channels:\n  conda-forge: {url}\n",
    "mirrored_channels": "mirrored_channels:\n  conda-forge:\n    - {url}/conda-forge\n",
    "mirrored_channels, the first dead": (
        "mirrored_channels:\n  conda-forge:\n    - http://127.0.0.1:9/conda-forge\n    - {url}/conda-forge\n"
    ),
}
INDEXES = {
    "UV_DEFAULT_INDEX": None,
    "UV_INDEX_URL": None,
    "PIP_INDEX_URL": None,
    "uv/uv.toml": '[[index]]\nurl = "{url}/simple"\ndefault = true\n',
    "pip/pip.conf": "[global]\nindex-url = {url}/simple\n",
}


@pytest.mark.parametrize("how", CHANNELS)
def test_a_channel_by_condarc(
    world: World, project: Project, locked_once: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.delenv("CONDA_CHANNEL_ALIAS")
    path_of("HOME", ".condarc").write_text(CHANNELS[how].format(url=world.url), encoding="utf-8")
    project.run("env", *ONE)
    assert project.files() == Project(locked_once.parent).files("tf2.17")


@pytest.mark.parametrize("how", INDEXES)
def test_an_index_by_setting(
    world: World, project: Project, locked_once: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    text = INDEXES[how]
    if text is None:
        monkeypatch.setenv(how, f"{world.url}/simple")
    else:
        file = path_of("XDG_CONFIG_HOME", *how.split("/"))
        file.parent.mkdir()
        file.write_text(text.format(url=world.url), encoding="utf-8")
    project.run("env", *ONE)
    assert project.files() == Project(locked_once.parent).files("tf2.17")


def test_only_addresses_are_taken(
    world: World, project: Project, locked_once: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever else this machine's settings say to uv and pip would make other locks."""
    (project.root / "uv.toml").write_text('exclude-newer = "2026-02-01T00:00:00Z"\n', encoding="utf-8")
    constraints = project.root / "constraints.txt"
    constraints.write_text("pillow<1\n", encoding="utf-8")
    for name, value in {
        "UV_CONSTRAINT": str(constraints),
        "PIP_CONSTRAINT": str(constraints),
        "UV_EXCLUDE_NEWER": "2026-02-01T00:00:00Z",
        "UV_PRERELEASE": "allow",
        "UV_RESOLUTION": "lowest",
        "UV_INDEX": "http://127.0.0.1:9/simple",
        "PIP_EXTRA_INDEX_URL": "http://127.0.0.1:9/simple",
        "MACOSX_DEPLOYMENT_TARGET": "26.0",
    }.items():
        monkeypatch.setenv(name, value)
    project.run("env", *ONE)
    assert project.files() == Project(locked_once.parent).files("tf2.17")


def with_password(url: str) -> str:
    return url.replace("http://", f"http://ann:{WORD}@")


def assert_kept_secret(project: Project, *texts: str) -> None:
    for text in texts:
        assert WORD not in text
    for path in project.root.parent.rglob("*"):
        assert not path.is_file() or WORD.encode() not in path.read_bytes(), path


def test_credentials_are_used_and_not_written(
    world: World, project: Project, locked_once: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", with_password(f"{world.url}/simple"))
    monkeypatch.setenv("CONDA_CHANNEL_ALIAS", with_password(world.url))
    done = end(project.spawn("env"))
    assert done.code == 0, done.err
    assert world.site.credentials, "the servers were shown them"
    assert project.files() == Project(locked_once.parent).files()
    assert_kept_secret(project, done.err, done.out)
    checked = end(project.spawn("check"))
    assert checked.code == 0, checked.out
    assert_kept_secret(project, checked.err, checked.out)


@pytest.mark.parametrize("pattern", ["/simple/", "repodata", r"\.metadata"])
@pytest.mark.parametrize("what", [{"status": 500}, {"status": 401}, {"truncate": True}])
def test_credentials_are_not_printed_in_errors(
    world: World, project: Project, monkeypatch: pytest.MonkeyPatch, pattern: str, what: dict[str, object]
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", with_password(f"{world.url}/simple"))
    monkeypatch.setenv("CONDA_CHANNEL_ALIAS", with_password(world.url))
    monkeypatch.setattr("metalock.adapters.conda.RETRIES", 0)
    with world.site.failing(pattern, **what):
        failed = project.run("env", *ONE, code=4)
    assert_kept_secret(project, failed.err, failed.out)
    with world.site.failing(pattern, **what):
        failed = project.run("check", *ONE, code=1 if pattern == "repodata" else 4)
    assert_kept_secret(project, failed.err, failed.out)


def test_a_token_in_the_path_is_used_and_not_written(
    world: World, project: Project, locked_once: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in files of the project nor in the caches of metalock; uv's cache is uv's own."""
    world.site.files |= {f"/t/{WORD}{path}": answer for path, answer in world.site.files.items()}
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"{world.url}/t/{WORD}/simple")
    monkeypatch.setenv("CONDA_CHANNEL_ALIAS", f"{world.url}/t/{WORD}")
    done = [end(project.spawn(*command.split())) for command in ("env", "check", "audit")]
    assert [one.code for one in done] == [0, 0, 1], "these wheels have findings"
    assert world.asked(f"/t/{WORD}/simple/")
    assert world.asked(f"/t/{WORD}/conda-forge/")
    assert project.files("lock.json") == Project(locked_once.parent).files("lock.json")
    shutil.rmtree(path_of("UV_CACHE_DIR"))
    assert_kept_secret(project, *(one.err + one.out for one in done))
    for path in project.root.parent.rglob("*"):
        assert WORD not in path.name


@pytest.mark.parametrize("pattern", ["/simple/", "repodata"])
@pytest.mark.parametrize("what", [{"status": 500}, {"status": 401}, {"truncate": True}, {"garbage": b"{"}])
def test_tokens_are_not_printed_in_errors(
    world: World, project: Project, monkeypatch: pytest.MonkeyPatch, pattern: str, what: dict[str, object]
) -> None:
    world.site.files |= {f"/t/{WORD}{path}": answer for path, answer in world.site.files.items()}
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"{world.url}/t/{WORD}/simple")
    monkeypatch.setenv("CONDA_CHANNEL_ALIAS", f"{world.url}/t/{WORD}")
    monkeypatch.setattr("metalock.adapters.conda.RETRIES", 0)
    with world.site.failing(pattern, **what):
        failed = project.run("env", *ONE, code=4)
        checked = project.run("check", *ONE, code=1 if pattern == "repodata" else 4)
    for text in (failed.err, failed.out, checked.err, checked.out):
        assert WORD not in text


def test_credentials_are_not_printed_when_nobody_answers(
    world: World, locked: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", with_password(f"{world.url}/simple"))
    monkeypatch.setenv("CONDA_CHANNEL_ALIAS", with_password(world.url))
    world.stop()
    failed = locked.run("env", *ONE, "--upgrade", code=4)
    assert_kept_secret(locked, failed.err, failed.out)
    failed = locked.run("check", code=4)
    assert_kept_secret(locked, failed.err, failed.out)
