"""Commands: options that contradict each other, the clock, evidence in `check`, and commands for a shell."""

from __future__ import annotations

import json
import shlex
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from samples import HEAD, MATRIX, host_of, locked_workspace

from metalock.audit.result import AUDIT_FILE
from metalock.cli import main
from metalock.commands import build, check, env
from metalock.errors import MatrixError
from metalock.evidence.model import SMOKE_FILE, Evidence, Observation, Observed
from metalock.evidence.store import write_evidence
from metalock.lock.model import lock_digest
from metalock.locking.summary import next_step
from metalock.matrix.parse import parse_matrix, require_past_cutoff
from metalock.prefix.choose import Chosen
from metalock.prefix.model import Backend, Built
from metalock.workspace import Workspace, open_workspace

TODAY = date(2026, 11, 26)
ENV = "tf2.18-py3.11"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    folder = tmp_path / "a folder; with $(odd) 'name'"
    folder.mkdir()
    found = locked_workspace(folder)
    monkeypatch.chdir(folder)
    for command in (check, env):
        monkeypatch.setattr(command, "today", lambda: TODAY)
    return found


def run(*args: str) -> Result:
    return CliRunner().invoke(main, args)


@pytest.mark.parametrize(
    ("args", "first", "second"),
    [
        (["list", "--markdown", "--json"], "--json", "--markdown"),
        (["list", "--markdown", "--update", "matrix.toml"], "--markdown", "--update"),
        (["list", "--json", "--update", "matrix.toml"], "--json", "--update"),
        (["list", "--update", "matrix.toml", "--env", ENV], "--update", "--env"),
        (["list", "--update", "matrix.toml", "--platform", "linux-64"], "--update", "--platform"),
        (["list", "--update", "matrix.toml", "--python", "3.11"], "--update", "--python"),
        (["list", "--update", "matrix.toml", "--needs", "metal"], "--update", "--needs"),
        (["list", "--update", "matrix.toml", "--macos", "13"], "--update", "--macos"),
        (["list", "--update", "matrix.toml", "--glibc", "2.28"], "--update", "--glibc"),
        (["env", "--check", "--upgrade"], "--check", "--upgrade"),
        (["env", "--check", "--upgrade", "numpy"], "--check", "--upgrade"),
        (["env", "--upgrade", "numpy", "--upgrade"], "--upgrade", "--upgrade PACKAGE"),
        (["audit", "--grid", "tensorflow-metal", "--again"], "--grid", "--again"),
    ],
)  # fmt: skip
def test_options_that_contradict_each_other(
    workspace: Workspace, args: list[str], first: str, second: str
) -> None:
    before = workspace.matrix_file.read_bytes()
    result = run(*args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[0] == f"error: {first} and {second} contradict each other"
    assert workspace.matrix_file.read_bytes() == before


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["build", "--check", ".", "--prefix", "x"], "--check cannot be used with --prefix"),
        (["build", ENV, "--backend", "conda", "--python", "x"], "--python needs --backend venv"),
        (["verify", "--backend", "conda", "--python", "x"], "--python needs --backend venv"),
        (["smoke", ".", "--only", "numbers", "--record"], "--record cannot be used with --only"),
        (["audit", "--output", "x"], "--output needs --grid"),
        (["audit", "--grid", "tensorflow-metal", "--env", ENV], "--grid takes one --platform and no --env"),
    ],
)  # fmt: skip
def test_options_that_go_with_others(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, args: list[str], message: str
) -> None:
    result = run(*args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert "\nhint: " in result.stderr


# The cut-off.


def test_a_cutoff_that_has_not_come_is_refused() -> None:
    for day, is_refused in (("2026-11-27", False), ("2026-11-28", True), ("2027-01-01", True)):
        matrix = parse_matrix(MATRIX.replace("2026-08-21", day))
        if not is_refused:
            require_past_cutoff(matrix, TODAY, "matrix.toml")
            continue
        with pytest.raises(MatrixError) as caught:
            require_past_cutoff(matrix, TODAY, "matrix.toml")
        (fault,) = caught.value.faults
        assert fault.startswith(f"exclude-newer: {day}T00:00:00Z is in the future")
        assert fault.endswith("write a time that has passed, such as 2026-11-26T00:00:00Z")


@pytest.mark.parametrize("args", [["env"], ["env", "--check"], ["check"], ["check", "--offline"]])
def test_commands_refuse_a_cutoff_in_the_future(workspace: Workspace, args: list[str]) -> None:
    assert "2026-08-21" in HEAD
    workspace.matrix_file.write_text(MATRIX.replace("2026-08-21", "2026-12-24"))
    result = run(*args)
    assert (result.exit_code, result.stdout) == (2, "")
    first, second = result.stderr.splitlines()
    assert first == "error: matrix.toml: 1 fault"
    assert second.startswith("  exclude-newer: 2026-12-24T00:00:00Z is in the future")


def test_what_is_read_and_rendered_does_not_depend_on_the_day(workspace: Workspace) -> None:
    workspace.matrix_file.write_text(MATRIX.replace("2026-08-21", "2099-12-24"))
    assert open_workspace(workspace.matrix_file).matrix.exclude_newer == "2099-12-24T00:00:00Z"
    assert run("list").exit_code == 0


# Evidence.


def record(workspace: Workspace, day: str) -> Path:
    cell = next(one for one in workspace.cells() if one.name == f"linux-64/{ENV}")
    lock = workspace.state(cell).lock
    assert lock is not None
    evidence = Evidence(
        lock=lock_digest(lock),
        date=day,
        backend="venv",
        host=host_of(cell.platform),
        observations=(Observation(name="environment.import", observed=Observed.PASSED),),
    )
    write_evidence(workspace, cell, lock, evidence)
    return workspace.folder(cell) / SMOKE_FILE


def findings(*args: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(run("check", "--offline", "--json", *args).stdout)
    return found


def test_check_reports_evidence_of_a_day_in_the_future(workspace: Workspace) -> None:
    record(workspace, "2026-11-26")
    assert findings() == []
    path = record(workspace, "2026-11-27")
    (finding,) = findings()
    assert (finding["code"], finding["where"]) == ("D008", f"envs/linux-64/{ENV}/{SMOKE_FILE}")
    assert finding["detail"] == "date: 2026-11-27 is in the future"
    assert f"`metalock verify --again --platform linux-64 --env {ENV}`" in finding["fix"]
    path.write_text(path.read_text().replace(json.loads(path.read_text())["lock"], "0" * 64))
    assert [finding["code"] for finding in findings()] == ["D008"], "also evidence about another lock"


def test_check_reports_evidence_that_is_not_valid(workspace: Workspace) -> None:
    path = record(workspace, "2026-11-26")
    good = path.read_text()
    path.write_text(good.replace('"seconds": 0.0', f'"seconds": {"9" * 400}'))
    path.with_name(AUDIT_FILE).write_text("{}")
    found = {finding["where"]: finding["detail"] for finding in findings()}
    assert found.keys() == {f"envs/linux-64/{ENV}/{name}" for name in (AUDIT_FILE, SMOKE_FILE)}
    assert found[f"envs/linux-64/{ENV}/{SMOKE_FILE}"].startswith("capabilities[0].seconds: expected a number")
    assert found[f"envs/linux-64/{ENV}/{AUDIT_FILE}"].endswith("more")
    assert findings("--env", "tf2.18-py3.10") == []


def test_list_and_pages_treat_invalid_evidence_as_not_there(workspace: Workspace) -> None:
    shown = [["list"], ["list", "--json"], ["list", "--markdown"], ["answers"]]
    before = [run(*args).stdout for args in shown]
    path = record(workspace, "2026-11-26")
    assert [run(*args).stdout for args in shown] != before
    path.write_text(path.read_text().replace("Debian", "Debian\\n# <b>"))
    path.with_name(AUDIT_FILE).write_text('{"schema": 1, "wheels": 0}')
    assert [run(*args).stdout for args in shown] == before


# Commands that people copy.


@pytest.mark.parametrize("backend", list(Backend))
def test_folders_in_printed_commands_are_quoted(
    workspace: Workspace, backend: Backend, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = next(one for one in workspace.cells() if one.name == f"linux-64/{ENV}")
    lock = workspace.state(cell).lock
    assert lock is not None
    prefix = workspace.root / "prefix"
    built = Built(
        prefix=prefix, python=prefix / "bin/python", backend=backend, seconds=1, interpreter=lock.python
    )
    build.show_built(built, Chosen(env=ENV, lock=lock, variables={}), as_json=False)
    (line,) = [found for found in capsys.readouterr().err.splitlines() if found.startswith("next: ")]
    words = shlex.split(line.removeprefix("next: "))
    assert words == (
        ["conda", "activate", str(prefix)]
        if backend is Backend.CONDA
        else ["source", str(prefix / "bin" / "activate")]
    )
    step = next_step(workspace, [cell])
    assert step is not None
    assert shlex.split(step)[-1] == str(workspace.folder(cell) / "environment.yml")
