"""Verifying several environments: what is written, what is left alone, what a failure means."""

from __future__ import annotations

import errno
import json
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from samples import host_of

from metalock import verify
from metalock.adapters.console import out
from metalock.adapters.files import only_one_run
from metalock.errors import FetchError, NothingSelectedError
from metalock.evidence.model import SMOKE_FILE, Evidence, Observation, Observed
from metalock.evidence.text import parse_evidence
from metalock.lock.model import lock_digest
from metalock.matrix.expand import select
from metalock.matrix.model import Cell
from metalock.platforms import Platform
from metalock.prefix.model import Backend, BuildRequest, Built
from metalock.progress import Reporter
from metalock.smoke.setup import SmokeRequest
from metalock.verify import VerifyOptions, exit_code, lines_of, verify_matrix
from metalock.workspace import Workspace, open_workspace

ROOT = Path(__file__).parents[2]
ENVS = ("tf2.18-py3.11", "tf2.18-py3.12", "tf2.9-py3.8")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    shutil.copy(ROOT / "matrix.toml", tmp_path)
    for env in ENVS:
        shutil.copytree(ROOT / "envs" / "linux-64" / env, tmp_path / "envs" / "linux-64" / env)
        (tmp_path / "envs" / "linux-64" / env / SMOKE_FILE).unlink(missing_ok=True)
    return open_workspace(tmp_path / "matrix.toml")


class Machine:
    """Replaces the build and the suite: notes the calls, and does what the test sets."""

    def __init__(self) -> None:
        self.built: list[str] = []
        self.left: list[Path] = []
        self.broken: set[str] = set()
        self.observed = Observed.PASSED
        self.faults: list[object] = []
        self.lacking: tuple[str, ...] = ()
        self.during: Callable[[SmokeRequest], None] = lambda _: None
        self._lock = threading.Lock()

    def build(self, request: BuildRequest, _settings: object, _reporter: Reporter) -> Built:
        with self._lock:
            self.built.append(request.env)
        if request.env in self.broken:
            raise FetchError("the index is down", hint="try later")
        request.prefix.mkdir(parents=True)
        return Built(
            prefix=request.prefix,
            python=request.prefix / "bin" / "python",
            backend=request.backend,
            seconds=1,
            interpreter="3.11.9",
        )

    def run_suite(self, request: SmokeRequest, _reporter: Reporter) -> Evidence:
        self.during(request)
        observation = Observation(name="environment.import", observed=self.observed)
        return Evidence(
            lock=lock_digest(request.lock),
            date=request.date,
            backend=request.backend,
            host=host_of(Platform.LINUX_64),
            observations=(observation,),
            faults=self.lacking,
        )


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr(verify, "build", machine.build)
    monkeypatch.setattr(verify, "run_suite", machine.run_suite)
    monkeypatch.setattr(verify, "check_prefix", lambda _lock, _prefix, **_: machine.faults)
    return machine


def cells(workspace: Workspace) -> list[Cell]:
    return [cell for cell in select(workspace.cells(), envs=ENVS) if cell.platform == "linux-64"]


def run(workspace: Workspace, *, again: bool = False, jobs: int = 1, keep: bool = False) -> int:
    options = VerifyOptions(
        backend=Backend.CONDA,
        date="2026-11-20",
        folder=workspace.root / ".envs",
        jobs=jobs,
        keep=keep,
    )
    done = []
    for verified in verify_matrix(workspace, cells(workspace), options, Reporter(), again=again):
        done.append(verified)
        out("\n".join(lines_of(verified)))
    return exit_code(done)


def smoke_files(workspace: Workspace) -> list[str]:
    return sorted(path.parent.name for path in workspace.envs.glob(f"*/*/{SMOKE_FILE}"))


def environments(workspace: Workspace) -> list[str]:
    """Return the environments that were left, without the lock files of runs."""
    return sorted(path.name for path in (workspace.root / ".envs").glob("*/*") if path.is_dir())


@pytest.mark.parametrize("jobs", [1, 3])
def test_evidence_is_written_next_to_each_lock(workspace: Workspace, machine: Machine, jobs: int) -> None:
    assert run(workspace, jobs=jobs) == 0
    assert smoke_files(workspace) == sorted(ENVS)
    data = (workspace.envs / "linux-64" / ENVS[0] / SMOKE_FILE).read_bytes()
    evidence = parse_evidence(data, Platform.LINUX_64)
    assert (evidence.backend, evidence.date) == ("conda", "2026-11-20")
    assert environments(workspace) == []


def test_what_has_evidence_is_left_alone(workspace: Workspace, machine: Machine) -> None:
    run(workspace)
    machine.built.clear()
    assert run(workspace) == 0
    assert machine.built == []
    assert run(workspace, again=True) == 0
    assert sorted(machine.built) == sorted(ENVS)


def test_evidence_of_another_lock_is_stale(workspace: Workspace, machine: Machine) -> None:
    run(workspace)
    machine.built.clear()
    path = workspace.envs / "linux-64" / ENVS[1] / SMOKE_FILE
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(json.loads(text)["lock"], "0" * 64), encoding="utf-8")
    run(workspace)
    assert machine.built == [ENVS[1]]


def test_known_evidence_is_judged_by_the_present_contract(workspace: Workspace, machine: Machine) -> None:
    run(workspace)
    path = workspace.envs / "linux-64" / ENVS[1] / SMOKE_FILE
    good = path.read_text(encoding="utf-8")
    path.write_text(
        good.replace('"outcome": "works"', '"outcome": "broken"').replace('"works":', '"broken":'),
        encoding="utf-8",
    )
    machine.built.clear()
    run(workspace)
    assert (machine.built, path.read_text(encoding="utf-8")) == ([], good)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_failure_is_reported_and_the_others_continue(
    workspace: Workspace, machine: Machine, capsys: pytest.CaptureFixture[str], jobs: int
) -> None:
    machine.broken = {ENVS[0]}
    assert run(workspace, jobs=jobs) == 4
    assert smoke_files(workspace) == sorted(ENVS[1:])
    output = capsys.readouterr().out
    assert "linux-64/tf2.18-py3.11: failed: the index is down\n     try later" in output


def test_a_full_disk_is_reported_and_the_others_continue(
    workspace: Workspace, machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    def fill(request: SmokeRequest) -> None:
        if request.prefix.name == ENVS[1]:
            raise OSError(errno.ENOSPC, "No space left on device", "events.jsonl")

    machine.during = fill
    assert run(workspace) == 4
    assert smoke_files(workspace) == sorted({*ENVS} - {ENVS[1]})
    assert "tf2.18-py3.12: failed: events.jsonl: No space left on device" in capsys.readouterr().out


def test_a_surprise_is_reported_and_kept(
    workspace: Workspace, machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.observed = Observed.RAISED
    assert run(workspace) == 1
    assert smoke_files(workspace) == sorted(ENVS)
    assert "environment.import: expected: works; observed: raised" in capsys.readouterr().out
    assert run(workspace) == 1


def test_an_environment_that_the_suite_changed_is_no_evidence(workspace: Workspace, machine: Machine) -> None:
    from metalock.findings import CheckRule, Finding

    machine.faults = [Finding(rule=CheckRule.MISSING, where="numpy", detail="is gone")]
    assert run(workspace) == 4
    assert smoke_files(workspace) == []


def test_what_a_server_kept_from_being_tried_is_no_evidence(
    workspace: Workspace, machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.lacking = ("the index is down",)
    assert run(workspace) == 4
    assert smoke_files(workspace) == []
    assert (
        "result not saved: some capabilities could not be tried: the index is down" in capsys.readouterr().out
    )


def test_keep_leaves_the_environments(workspace: Workspace, machine: Machine) -> None:
    run(workspace, keep=True)
    assert environments(workspace) == sorted(ENVS)


def test_an_interrupt_ends_all_and_leaves_no_prefix(workspace: Workspace, machine: Machine) -> None:
    def interrupt(request: SmokeRequest) -> None:
        if request.prefix.name != ENVS[0]:
            while not request.interrupted():
                threading.Event().wait(0.01)
        raise KeyboardInterrupt

    machine.during = interrupt
    with pytest.raises(KeyboardInterrupt):
        run(workspace, jobs=2)
    assert smoke_files(workspace) == []
    assert environments(workspace) == []


def test_what_is_not_locked_is_named(workspace: Workspace, machine: Machine) -> None:
    shutil.rmtree(workspace.envs / "linux-64" / ENVS[2])
    with pytest.raises(NothingSelectedError, match=r"not locked: linux-64/tf2\.9-py3\.8"):
        run(workspace)


def test_two_runs_of_one_environment_take_turns(workspace: Workspace, machine: Machine) -> None:
    at_work: list[str] = []

    def together(request: SmokeRequest) -> None:
        at_work.append(request.prefix.name)
        threading.Event().wait(0.05)
        assert at_work.count(request.prefix.name) == 1
        at_work.remove(request.prefix.name)

    machine.during = together
    with ThreadPoolExecutor(max_workers=2) as pool:
        runs = [pool.submit(run, workspace, again=True) for _ in range(2)]
    assert [each.result() for each in runs] == [0, 0]
    assert sorted(machine.built) == sorted([*ENVS, *ENVS])


def test_an_interrupt_ends_the_wait_for_another_run(workspace: Workspace, machine: Machine) -> None:
    held = workspace.root / ".envs" / "linux-64" / f".{ENVS[0]}.verify.lock"
    machine.broken = {ENVS[2]}

    def interrupt(_request: SmokeRequest) -> None:
        raise KeyboardInterrupt

    machine.during = interrupt
    with only_one_run(held, print), pytest.raises(KeyboardInterrupt):
        run(workspace, jobs=3)
    assert ENVS[0] not in machine.built
