"""What a run asks, changes and leaves alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from integration.channel import record
from integration.conftest import CELLS, Project, World
from integration.index import make_wheel
from metalock.adapters.conda import ChannelSolver, CondaRequest
from metalock.lock.model import CondaPackage
from metalock.lock.text import parse_lock

LINUX, MAC = "linux-64/tf2.18-py3.11", "osx-arm64/tf2.18-py3.11"


def versions(project: Project, cell: str) -> dict[str, str]:
    lock = parse_lock(project.read(cell))
    return {p.name: p.version for p in lock.conda} | {p.name: p.version for p in lock.pip}


def test_a_first_run(world: World, project: Project) -> None:
    done = project.run("env")
    assert "6 locked" in done.err
    assert [str(path.parent.relative_to(project.root / "envs")) for path in sorted(project.locks())] == CELLS
    assert versions(project, LINUX) == {
        "keras": "3.6.0", "numpy": "2.0.2", "openssl": "3.6.0", "packaging": "25.0", "pillow": "12.0.0",
        "pip": "25.2", "python": "3.11.14", "setuptools": "80.9.0", "tensorflow": "2.18.1",
        "tf-keras": "2.18.0", "tzdata": "2026a", "wheel": "0.45.1",
    }  # fmt: skip
    assert "https://conda.anaconda.org/conda-forge" in project.read(LINUX)
    assert world.url not in "".join(body.decode() for body in project.files().values())


def test_the_floor_decides(world: World, project: Project) -> None:
    project.edit('macos = "12.0"', 'macos = "14.0"')
    project.run("env", "--env", "tf2.18-py3.11")
    assert (versions(project, LINUX)["openssl"], versions(project, MAC)["openssl"]) == ("3.6.0", "3.6.1")


def test_html_pages_give_the_same_locks(world: World, project: Project, locked_once: Path) -> None:
    """Without the JSON pages of PEP 691, sizes come from the files' server."""
    world.publish(html_only=True)
    project.run("env")
    assert project.files() == Project(locked_once.parent).files()
    assert world.asked("/files/keras-3.6.0-py3-none-any.whl")


@pytest.mark.parametrize("args", [["env"], ["env", "--check"], ["env", "--offline"], ["list"]])
def test_up_to_date_is_known_without_a_server(
    locked: Project, monkeypatch: pytest.MonkeyPatch, args: list[str]
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("asked a server")

    for name in ("subprocess.run", "requests.Session.send", "metalock.adapters.conda.ChannelSolver.solve"):
        monkeypatch.setattr(name, never)
    before = locked.files()
    locked.run(*args)
    assert locked.files() == before


def test_cells_share_a_conda_part(world: World, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    solved: list[CondaRequest] = []
    solve = ChannelSolver.solve

    def counted(
        self: ChannelSolver, request: CondaRequest, locked: Sequence[CondaPackage]
    ) -> tuple[CondaPackage, ...]:
        solved.append(request)
        return solve(self, request, locked)

    monkeypatch.setattr(ChannelSolver, "solve", counted)
    project.run("env")
    assert len(solved) == len(set(solved)) == 4, "two platforms, two Pythons"
    project.edit('tensorflow = "2.17.1"', 'tensorflow = ">=2.17,<2.18"')
    project.run("env")
    assert len(solved) == 4, "the part that other locks hold serves"


def test_editing_a_stack_leaves_the_others(world: World, locked: Project) -> None:
    others = locked.files("tf2.18")
    locked.edit('numpy = ">=1.26,<2"', 'numpy = ">=1.25,<2"')
    locked.write("# a comment\n" + locked.matrix)
    assert "2 locked, 4 up to date" in locked.run("env").err
    assert locked.files("tf2.18") == others


def test_a_comment_changes_nothing(locked: Project) -> None:
    before = locked.files()
    locked.write(locked.matrix.replace("[packages]", "# why\n[packages]  # because"))
    assert "6 up to date" in locked.run("env").err
    assert locked.files() == before


def publish_newer(world: World) -> None:
    """Newer releases of what is locked, all before the cut-off."""
    world.wheels += [
        make_wheel("keras", "3.6.5", ["numpy"], date="2026-07-01"),
        make_wheel("pillow", "12.1.0", date="2026-07-01"),
    ]
    newer = record("openssl", "3.6.2", "linux-64", ["__glibc >=2.17,<3.0.a0"], date="2026-07-01")
    world.channel["linux-64"][str(newer["fn"])] = newer
    world.publish()


def test_locked_versions_hold(world: World, locked: Project) -> None:
    publish_newer(world)
    before = versions(locked, LINUX)
    locked.edit('pillow = "*"', 'pillow = ">=11"')
    locked.edit('pip = "*"', 'pip = ">=20"')
    locked.run("env")
    assert versions(locked, LINUX) == before


def test_a_version_that_no_longer_fits_moves(world: World, locked: Project) -> None:
    publish_newer(world)
    before = versions(locked, LINUX)
    locked.edit('pillow = "*"', 'pillow = ">12.0"')
    locked.run("env")
    assert versions(locked, LINUX) == before | {"pillow": "12.1.0"}


@pytest.mark.parametrize("package", ["keras", "pillow", "openssl", "OpenSSL"])
def test_upgrade_moves_just_that(world: World, locked: Project, package: str) -> None:
    publish_newer(world)
    before = versions(locked, LINUX)
    locked.run("env", "--env", "tf2.18-py3.11", "--upgrade", package)
    news = {"keras": "3.6.5", "pillow": "12.1.0", "openssl": "3.6.2"}
    name = package.lower()
    assert versions(locked, LINUX) == before | {name: news[name]}


def test_upgrade_moves_all(world: World, locked: Project) -> None:
    publish_newer(world)
    before = versions(locked, LINUX)
    locked.run("env", "--env", "tf2.18-py3.11", "--upgrade")
    assert versions(locked, LINUX) == before | {"keras": "3.6.5", "pillow": "12.1.0", "openssl": "3.6.2"}


def test_the_cut_off_holds_for_both(world: World, locked: Project) -> None:
    locked.edit("2026-08-21T00:00:00Z", "2026-10-01T00:00:00Z")
    locked.run("env", "--upgrade")
    now = versions(locked, LINUX)
    assert (now["keras"], now["numpy"], now["openssl"]) == ("3.6.9", "2.0.9", "3.6.9")
    locked.edit("2026-10-01T00:00:00Z", "2026-02-01T00:00:00Z")
    locked.run("env")
    now = versions(locked, LINUX)
    assert (now["keras"], now["numpy"], now["openssl"]) == ("3.6.0", "2.0.1", "3.5.4")


def test_check_says_what_is_stale_or_edited(locked: Project) -> None:
    locked.edit('numpy = ">=1.26,<2"', 'numpy = ">=1.25,<2"')
    with locked.path(LINUX, "environment.yml").open("a", encoding="utf-8") as file:
        file.write("  - evil=1.0\n")
    lock = locked.path(MAC)
    lock.write_text(lock.read_text(encoding="utf-8").replace("3.6.0", "3.6.1"), encoding="utf-8")
    locked.path("osx-arm64/tf2.18-py3.12").unlink()
    before = locked.files()
    found = locked.run("env", "--check", code=1).out
    for line in (
        "D002 envs/linux-64/tf2.17-py3.11",
        "D003 envs/linux-64/tf2.18-py3.11: environment.yml",
        "D004 envs/osx-arm64/tf2.18-py3.11: lock.json",
        "D001 envs/osx-arm64/tf2.18-py3.12",
    ):
        assert line in found
    assert "linux-64/tf2.18-py3.12" not in found
    assert locked.files() == before


def test_an_edited_file_is_rendered_again(locked: Project) -> None:
    before = locked.files()
    locked.path(LINUX, "conda.lock").write_text("", encoding="utf-8")
    assert "1 rendered, 5 up to date" in locked.run("env").err
    assert locked.files() == before


def test_an_orphan_is_removed_and_a_users_files_are_kept(locked: Project) -> None:
    locked.write(locked.matrix.split('[stack."tf2.17"]')[0])
    notes = locked.root / "envs" / "linux-64" / "my-notes" / "notes.txt"
    notes.parent.mkdir()
    notes.write_text("mine", encoding="utf-8")
    locked.path("osx-arm64/tf2.17-py3.11", "NOTES.md").write_text("mine", encoding="utf-8")
    assert "D005 envs/linux-64/tf2.17-py3.11" in locked.run("env", "--check", code=1).out
    done = locked.run("env")
    assert "linux-64/tf2.17-py3.11: removed" in done.err
    assert not locked.path("linux-64/tf2.17-py3.11").parent.exists()
    assert "kept: NOTES.md; delete envs/osx-arm64/tf2.17-py3.11 if" in done.err
    assert list(locked.files("osx-arm64/tf2.17")) == ["envs/osx-arm64/tf2.17-py3.11/NOTES.md"]
    assert notes.read_text(encoding="utf-8") == "mine"


def test_list_knows_the_standing(locked: Project) -> None:
    locked.path(LINUX, "conda.lock").unlink()
    rows = json.loads(locked.run("list", "--json").out)
    assert "edited" in json.dumps([row for row in rows if row["env"] == "tf2.18-py3.11"])
