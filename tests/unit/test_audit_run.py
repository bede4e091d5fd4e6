"""audit: the table of the digests of RECORDs that it writes next to the results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

import pytest
from audit_samples import facts
from samples import locked_workspace

from metalock.audit.result import AUDIT_FILE
from metalock.audit.run import audit_cells
from metalock.audit.wheel_cache import Answer, WheelLibrary
from metalock.checks.files import check_drift
from metalock.errors import FetchError, UnreadableWheelError, UsageError
from metalock.lock.model import PipPackage
from metalock.matrix.expand import select
from metalock.platforms import Platform
from metalock.records import table_text
from metalock.workspace import Workspace

GONE = "f" * 64


class Wheels:
    """A library whose wheels all have a RECORD, but for those in `bad`."""

    def __init__(self, bad: Iterable[str] = ()) -> None:
        self.bad = set(bad)
        self.asked: list[str] = []

    def facts(self, packages: Iterable[PipPackage], _platform: Platform) -> Iterator[Answer]:
        for package in packages:
            self.asked.append(package.file)
            if package.name in self.bad:
                yield package, UnreadableWheelError(package.file, "is damaged")
            else:
                yield package, facts(package.name, package.version, record=package.sha256[::-1])


class Silent(Wheels):
    """A library of twice as many wheels whose server does not answer."""

    def facts(self, packages: Iterable[PipPackage], _platform: Platform) -> Iterator[Answer]:
        for package in [*packages] * 2:
            self.asked.append(package.file)
            yield package, FetchError(f"{package.file}: timed out")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return locked_workspace(tmp_path)


def audit(workspace: Workspace, wheels: Wheels, *platforms: Platform, again: bool = False) -> None:
    cells = select(workspace.cells(), platforms=platforms)
    for _ in audit_cells(workspace, cells, cast("WheelLibrary", wheels), again=again):
        pass


def expected(workspace: Workspace, *platforms: Platform) -> dict[str, str]:
    locks = [lock for _, lock in workspace.locks() if not platforms or lock.platform in platforms]
    return {package.sha256: package.sha256[::-1] for lock in locks for package in lock.pip}


def test_the_table_is_written(workspace: Workspace) -> None:
    audit(workspace, Wheels())
    assert workspace.records() == expected(workspace)
    before = workspace.records_file.read_bytes()
    assert before == table_text(workspace.records()).encode()
    audit(workspace, Wheels(), again=True)
    assert workspace.records_file.read_bytes() == before


def test_entries_of_other_platforms_stay_and_those_of_no_lock_go(workspace: Workspace) -> None:
    (one,) = {package.sha256 for _, lock in workspace.locks() for package in lock.pip}
    text = table_text({one: "0" * 64, GONE: "1" * 64})
    workspace.records_file.write_text(text)
    wheels = Wheels()
    audit(workspace, Wheels(bad=["tensorflow"]), Platform.OSX_ARM64)
    assert workspace.records() == {one: "0" * 64}
    audit(workspace, wheels, Platform.LINUX_64, again=True)
    assert workspace.records() == expected(workspace)


def test_what_is_valid_is_read_again_only_where_the_table_lacks_it(workspace: Workspace) -> None:
    audit(workspace, Wheels())
    assert list(workspace.envs.glob(f"*/*/{AUDIT_FILE}"))
    workspace.records_file.write_text(table_text({**workspace.records(), GONE: "1" * 64}))
    wheels = Wheels()
    audit(workspace, wheels)
    assert wheels.asked == []
    assert workspace.records() == expected(workspace)
    workspace.records_file.unlink()
    audit(workspace, wheels)
    assert wheels.asked != []
    assert workspace.records() == expected(workspace)


def test_a_damaged_table(workspace: Workspace) -> None:
    audit(workspace, Wheels())
    cells = list(workspace.cells())
    assert list(check_drift(workspace, cells, tuple(Platform))) == []
    text = workspace.records_file.read_text()
    workspace.records_file.write_text(text.replace("\n", " ", 1))
    (finding,) = check_drift(workspace, cells, tuple(Platform))
    assert (finding.rule.code, finding.where) == ("D004", "envs/records.json")
    assert finding.detail == "it was changed by hand"
    workspace.records_file.write_text(f"<<<<<<< HEAD\n{text}")
    (finding,) = check_drift(workspace, cells, tuple(Platform))
    assert finding.detail == "it cannot be read: not JSON"
    with pytest.raises(UsageError, match=r"records.json cannot be read: not JSON") as caught:
        audit(workspace, Wheels())
    assert caught.value.hint == "Restore it from git, or remove it and run `metalock audit --again`."


def test_a_server_that_fails_is_not_asked_for_the_other_wheels(workspace: Workspace) -> None:
    wheels = Silent()
    with pytest.raises(FetchError, match="timed out"):
        audit(workspace, wheels)
    assert len(wheels.asked) == 1
