"""ci: which environments still need evidence, and the jobs that they are given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from samples import MATRIX, all_cells, host_of, locked_workspace

from metalock.ci import MAC_WITH_METAL, Wanted, cells_to_verify, job_matrix
from metalock.cli import main
from metalock.evidence.model import SMOKE_FILE, Evidence, Observation, Observed
from metalock.evidence.text import evidence_text
from metalock.lock.model import lock_digest
from metalock.matrix.model import Cell
from metalock.workspace import LOCK_FILE, Workspace

METAL = f'{MATRIX}[stack."tf2.18".osx-arm64]\ntensorflow-metal = "1.2.0"\n'
WORKFLOWS = Path(__file__).parents[2] / ".github" / "workflows"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return locked_workspace(tmp_path, METAL)


def record(
    workspace: Workspace, cell: Cell, digest: str | None = None, tried: str = "environment.import"
) -> None:
    lock = workspace.state(cell).lock
    assert lock is not None
    evidence = Evidence(
        lock=digest or lock_digest(lock),
        date="2026-11-20",
        backend="conda",
        host=host_of(cell.platform),
        observations=(Observation(name=tried, observed=Observed.PASSED),),
    )
    (workspace.folder(cell) / SMOKE_FILE).write_text(evidence_text(evidence, lock))


def names(workspace: Workspace, wanted: Wanted = Wanted.CPU, *, again: bool = False) -> list[str]:
    return [cell.name for cell in cells_to_verify(workspace, list(workspace.cells()), wanted, again=again)]


def test_what_has_evidence_for_its_lock_is_left_out(workspace: Workspace) -> None:
    cells = {cell.name: cell for cell in workspace.cells()}
    assert sorted(names(workspace)) == sorted(cells)
    record(workspace, cells["linux-64/tf2.18-py3.10"])
    record(workspace, cells["linux-64/tf2.18-py3.11"], digest="0" * 64)
    assert sorted(names(workspace)) == sorted(cells.keys() - {"linux-64/tf2.18-py3.10"})
    assert sorted(names(workspace, again=True)) == sorted(cells)
    (workspace.folder(cells["osx-arm64/tf2.18-py3.10"]) / LOCK_FILE).unlink()
    assert "osx-arm64/tf2.18-py3.10" not in names(workspace, again=True)


def test_the_gpu_is_wanted_where_there_is_metal_and_none_was_tried(workspace: Workspace) -> None:
    macs = ["osx-arm64/tf2.18-py3.10", "osx-arm64/tf2.18-py3.11"]
    assert names(workspace, Wanted.GPU) == macs
    record(workspace, next(cell for cell in workspace.cells() if cell.name == macs[0]))
    assert names(workspace, Wanted.GPU) == macs, "what ran on the CPU alone says nothing of the GPU"


def test_a_run_without_a_gpu_never_takes_the_place_of_one_with_it(workspace: Workspace) -> None:
    mac = next(cell for cell in workspace.cells() if cell.name == "osx-arm64/tf2.18-py3.10")
    record(workspace, mac, tried="numbers.matmul@gpu")
    assert mac.name not in names(workspace, again=True)
    assert mac.name in names(workspace, Wanted.GPU, again=True)
    record(workspace, mac)
    assert mac.name in names(workspace, again=True)


def test_a_job_each() -> None:
    jobs = job_matrix(all_cells(METAL), Wanted.CPU, 256)["include"]
    assert jobs[0] == {
        "name": "osx-arm64/tf2.18-py3.10",
        "platform": "osx-arm64",
        "env": "tf2.18-py3.10",
        "envs": "tf2.18-py3.10",
        "python": "3.10",
        "runner": "macos-15",
    }
    assert [job["runner"] for job in jobs] == ["macos-15", "macos-15", "ubuntu-24.04", "ubuntu-24.04"]
    assert job_matrix(all_cells(METAL), Wanted.GPU, 256)["include"][0]["runner"] == MAC_WITH_METAL
    assert job_matrix([], Wanted.CPU, 256) == {"include": []}


@pytest.mark.parametrize("most", [3, 4, 5, 7, 24, 256])
def test_all_are_covered_by_few_enough_jobs(most: int) -> None:
    pythons = ", ".join(f'"3.{minor}"' for minor in range(8, 14))
    cells = all_cells(METAL.replace('"3.10", "3.11"', pythons))
    jobs = job_matrix(cells, Wanted.CPU, most)["include"]
    assert len(jobs) <= most
    covered = [f"{job['platform']}/{env}" for job in jobs for env in str(job["envs"]).split()]
    assert sorted(covered) == sorted(cell.name for cell in cells)


def test_the_command(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace.root)
    result = CliRunner().invoke(main, ["ci-matrix", "--platform", "linux-64", "--env", "tf2.18-py3.11"])
    assert (result.exit_code, result.stderr) == (0, "1 of 1 environments to verify\n")
    assert [job["env"] for job in json.loads(result.stdout)["include"]] == ["tf2.18-py3.11"]


@pytest.mark.parametrize("path", sorted(WORKFLOWS.glob("*.yml")), ids=lambda path: path.stem)
def test_scripts_of_workflows_take_values_from_variables(path: Path) -> None:
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    scripts = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert scripts
    assert not [script for script in scripts if "${{" in script]


def test_what_goes_into_a_summary_is_escaped() -> None:
    """A summary is Markdown: `metalock diff` escapes, and other output is indented, so that it is code."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(WORKFLOWS.glob("*.yml")))
    lines = [line.strip() for line in text.splitlines() if "GITHUB_STEP_SUMMARY" in line]
    assert len(lines) == 2
    assert lines[0].startswith("make --no-print-directory diff ")
    assert "tr '\\r' '\\n' <" in lines[1]
    assert "sed 's/^/    /'" in lines[1]
