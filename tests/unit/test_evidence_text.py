"""smoke.json as data that anyone may have written, and as what a machine records."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import MATRIX, host_of, locked_workspace

from metalock.adapters.reading import EVIDENCE
from metalock.errors import ToolError
from metalock.evidence.model import SMOKE_FILE, Evidence, Observation, Observed
from metalock.evidence.store import read_evidence, trials, write_evidence
from metalock.evidence.text import clean_host, clean_observation, evidence_text, parse_evidence
from metalock.lock.model import Lock, lock_digest
from metalock.lock.text import parse_lock
from metalock.platforms import Platform
from metalock.untrusted import InvalidFileError
from metalock.workspace import CellState, Workspace

ROOT = Path(__file__).parents[2]
LOCK_FILE = ROOT / "envs" / "linux-64" / "tf2.18-py3.11" / "lock.json"
LINUX, MAC, INTEL = Platform.LINUX_64, Platform.OSX_ARM64, Platform.OSX_64
HUGE = int("9" * 400)


@pytest.fixture(scope="module")
def lock() -> Lock:
    return parse_lock(LOCK_FILE.read_text(encoding="utf-8"))


def evidence(lock: Lock, **values: Any) -> Evidence:
    passed = Observation(name="environment.import", observed=Observed.PASSED, seconds=1.5)
    measured = {"numpy": "2.0.2", "images_per_second": 12.5}
    versions = Observation(name="environment.versions", observed=Observed.PASSED, values=measured)
    known = {
        "lock": lock_digest(lock),
        "date": "2026-11-20",
        "backend": "venv",
        "host": host_of(LINUX),
        "observations": (passed, versions),
    }
    return Evidence(**{**known, **values})


def table(lock: Lock) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(evidence_text(evidence(lock), lock))
    return found


def faults(data: bytes, platform: Platform = LINUX) -> tuple[str, ...]:
    with pytest.raises(InvalidFileError) as caught:
        parse_evidence(data, platform)
    assert all(fault.isprintable() for fault in caught.value.faults)
    assert str(caught.value).isprintable()
    return caught.value.faults


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a": ' * 100_000, "not JSON"),
        (b'{"schema": NaN}', "not JSON: NaN is not a number in JSON"),
        (b'{"schema": 1, "schema": 1}', "not JSON: an object has a key twice"),
        (b'{"schema": ' + b"1" * 10_000 + b"}", "not JSON"),
        (b"[]", "file: expected an object"),
        (b"null", "file: expected an object"),
        (b'{"schema": 0}', "schema: expected an integer from 1 to 1"),
        (b'{"schema": 1}', "lock: missing"),
    ],
)  # fmt: skip
def test_what_is_no_evidence(data: bytes, fault: str) -> None:
    assert any(found.startswith(fault) for found in faults(data))


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("schema", 2, "schema: expected an integer from 1 to 1"),
        ("schema", True, "schema: expected"),
        ("extra", 1, "extra: unknown key"),
        ("a\n# b", 1, '"a\\n# b": unknown key'),
        ("lock", "d", "lock: expected one line"),
        ("lock", None, "lock: expected one line"),
        ("date", "2026-02-30", "date: there is no such day"),
        ("date", "20261120", "date: expected one line"),
        ("date", "2026-11-20T00:00:00", "date: expected one line"),
        ("date", "2026-11-20\n", "date: expected one line"),
        ("backend", "docker", "backend: expected one of conda, venv"),
        ("backend", ["conda"], "backend: expected one of conda, venv"),
        ("host", [], "host: expected an object"),
        ("host.system", "Debian\n# Heading", "host.system: expected one line"),
        ("host.system", "x" * 101, "host.system: expected one line"),
        ("host.system", "a\u2028b", "host.system: expected one line"),
        ("host.system", "\x1b[31mDebian", "host.system: expected one line"),
        ("host.system", "", "host.system: expected a system of linux-64"),
        ("host.system", "macOS 15.1", "host.system: expected a system of linux-64"),
        ("host.system", "Darwin", "host.system: expected a system of linux-64"),
        ("host.machine", "arm64", "host.machine: expected one line"),
        ("host.user", "me", "host.user: unknown key"),
        ("host.translated", False, "host.translated: a machine of linux-64 has no such field"),
        ("host.wheel_platform", "macosx-11.0-arm64", "host.wheel_platform: expected one line"),
        ("host.cores", 0, "host.cores: expected an integer from 1 to 4096"),
        ("host.cores", 10**6, "host.cores: expected an integer"),
        ("host.load", -1, "host.load: expected a number"),
        ("host.load", HUGE, "host.load: expected a number"),
        ("host.gpus", ["Apple\nM1"], "host.gpus[0]: expected one line"),
        ("host.gpus", ["M1"] * 65, "host.gpus: expected an array of at most 64 items"),
        ("host.gpus", "M1", "host.gpus: expected an array"),
        ("host.instructions", [1], "host.instructions[0]: expected one line"),
        ("counts", {"works": 0}, "counts: these are not the numbers"),
        ("counts", {"works": 1}, "counts: these are not the numbers"),
        ("counts", {"works": 2.0}, "counts: these are not the numbers"),
        ("counts", {"works": 2, "broken": 0}, "counts: these are not the numbers"),
        ("counts", [], "counts: expected an object"),
        ("capabilities", [], "capabilities: nothing was tried"),
        ("capabilities", {}, "capabilities: expected an array"),
        ("capabilities", [None], "capabilities[0]: expected an object"),
        ("capabilities.0.name", "no name", "capabilities[0].name: expected one line"),
        ("capabilities.0.name", "environment.versions", "capabilities: environment.versions occurs twice"),
        ("capabilities.0.observed", "maybe", "capabilities[0].observed: expected one of passed"),
        ("capabilities.0.outcome", "fine", "capabilities[0].outcome: expected one of works"),
        ("capabilities.0.error", "x" * 2001, "capabilities[0].error: expected text"),
        ("capabilities.0.error", "\x00", "capabilities[0].error: expected text"),
        ("capabilities.0.error", "a\r# b", "capabilities[0].error: expected text"),
        ("capabilities.0.seconds", HUGE, "capabilities[0].seconds: expected a number"),
        ("capabilities.0.seconds", -0.5, "capabilities[0].seconds: expected a number"),
        ("capabilities.0.seconds", 1e300, "capabilities[0].seconds: expected a number"),
        ("capabilities.0.seconds", True, "capabilities[0].seconds: expected a number"),
        ("capabilities.0.values", {"speed": HUGE}, "capabilities[0].values: expected a number"),
        ("capabilities.0.values", {"speed": [1]}, "capabilities[0].values: expected a number"),
        ("capabilities.0.values", {"speed": "a\nb"}, "capabilities[0].values: expected a number"),
        ("capabilities.0.values", {"<b>": 1}, "capabilities[0].values: expected names"),
        ("capabilities.0.values", [], "capabilities[0].values: expected an object"),
        ("capabilities.0.extra", 1, "capabilities[0].extra: unknown key"),
    ],
)  # fmt: skip
def test_each_value_has_a_known_form(lock: Lock, path: str, value: object, fault: str) -> None:
    changed = table(lock)
    place: Any = changed
    *parents, key = path.split(".")
    for name in parents:
        place = place[int(name) if name.isdigit() else name]
    place[key] = value
    assert any(found.startswith(fault) for found in faults(json.dumps(changed).encode()))


@pytest.mark.parametrize("key", ["schema", "lock", "date", "backend", "host", "counts", "capabilities"])
def test_no_field_may_be_missing(lock: Lock, key: str) -> None:
    changed = table(lock)
    del changed[key]
    assert any(found.startswith(f"{key}: ") for found in faults(json.dumps(changed).encode()))


@pytest.mark.parametrize("key", ["system", "machine", "gpus"])
def test_a_machine_states_what_it_is(lock: Lock, key: str) -> None:
    changed = table(lock)
    del changed["host"][key]
    assert any(found.startswith(f"host.{key}: missing") for found in faults(json.dumps(changed).encode()))


@pytest.mark.parametrize("platform", list(Platform))
@pytest.mark.parametrize("of", list(Platform))
def test_a_machine_is_of_the_locks_platform(lock: Lock, platform: Platform, of: Platform) -> None:
    text = evidence_text(evidence(lock, host=host_of(of)), lock).encode()
    if platform is of:
        assert parse_evidence(text, platform).host == host_of(of)
    else:
        assert [found.partition(":")[0].split(".")[0] for found in faults(text, platform)] != []


def test_all_faults_are_found_in_one_run(lock: Lock) -> None:
    changed = {**table(lock), "date": "yesterday", "backend": "x", "more": 1, "lock": ""}
    data = json.dumps(changed).encode()
    assert len(faults(data)) == 4
    with pytest.raises(InvalidFileError, match=r"; and 1 more$"):
        parse_evidence(data, LINUX)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(value=json_values, data=st.data())
def test_any_value_at_any_place_is_valid_or_a_fault(lock: Lock, value: object, data: st.DataObject) -> None:
    changed = table(lock)
    place: Any = changed
    while True:
        keys = sorted(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], (dict, list)) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = value
    with suppress(InvalidFileError):
        found = parse_evidence(json.dumps(changed).encode(), LINUX)
        assert evidence_text(found, lock)


# What is recorded.


@given(
    cpu=st.text() | st.none(),
    gpus=st.lists(st.text(max_size=150), max_size=70),
    error=st.text(max_size=3000),
    value=st.floats() | st.text() | st.integers() | st.lists(st.integers()) | st.none() | st.booleans(),
)
def test_what_a_machine_records_is_valid(
    lock: Lock, cpu: str | None, gpus: list[str], error: str, value: object
) -> None:
    host = clean_host({**host_of(LINUX), "system": "Odd\n\x1bLinux", "cpu": cpu, "cores": None, "gpus": gpus})
    observation = Observation(
        name="environment.import", observed=Observed.RAISED, error=error, values={"largest_error": value}
    )
    before = evidence(lock, host=host, observations=(clean_observation(observation),))
    text = evidence_text(before, lock)
    after = parse_evidence(text.encode(), LINUX)
    assert after.host["system"] == "Odd \N{REPLACEMENT CHARACTER}Linux"
    assert evidence_text(after, lock) == text


def test_what_is_known_of_a_machine_stays_as_it_is(lock: Lock) -> None:
    host = json.loads((ROOT / "docs/evidence/linux-64.tf2.10-py3.9.json").read_text(encoding="utf-8"))["host"]
    assert clean_host(host) == host
    observation = Observation(
        name="a.b", observed=Observed.RAISED, error="a:\n\tb", values={"x": 1, "y": 0.5, "z": True}
    )
    assert clean_observation(observation) == observation


def test_committed_evidence_is_valid() -> None:
    for path in ROOT.glob("envs/*/*/smoke.json"):
        parse_evidence(path.read_bytes(), Platform(path.parts[-3]))


# Files next to locks.


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return locked_workspace(tmp_path, MATRIX)


def state_of(workspace: Workspace, name: str = "linux-64/tf2.18-py3.11") -> CellState:
    return next(workspace.state(cell) for cell in workspace.cells() if cell.name == name)


def test_an_invalid_file_counts_as_not_there(workspace: Workspace) -> None:
    state = state_of(workspace)
    assert state.lock is not None
    path = workspace.folder(state.cell) / SMOKE_FILE
    write_evidence(workspace, state.cell, state.lock, evidence(state.lock))
    assert read_evidence(workspace, state.cell, state.lock) is not None
    path.write_text(path.read_text().replace("Debian", "macOS; "))
    assert read_evidence(workspace, state.cell, state.lock) is None
    trial = trials(workspace, [state])[state.cell.name]
    assert (trial.evidence, trial.short) == (None, "not tried")
    assert trial.fault.startswith("host.system: expected a system of linux-64")


@pytest.mark.parametrize("kind", ["folder", "pipe", "link", "huge", "device"])
def test_what_is_no_file_is_not_read(workspace: Workspace, kind: str) -> None:
    state = state_of(workspace)
    path = workspace.folder(state.cell) / SMOKE_FILE
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "link":
            path.symlink_to("absent")
        case "device":
            path.symlink_to("/dev/zero")
        case _:
            with path.open("wb") as file:
                file.truncate(EVIDENCE + 1)
    trial = trials(workspace, [state])[state.cell.name]
    faults = {"folder": "is a directory", "link": "No such file or directory", "huge": "larger than 8 MiB"}
    assert trial.fault == faults.get(kind, "not a regular file")


def test_what_could_not_be_read_again_is_not_written(workspace: Workspace) -> None:
    state = state_of(workspace)
    assert state.lock is not None
    wrong = evidence(state.lock, host=host_of(MAC))
    with pytest.raises(ToolError, match=r"result not saved, it does not satisfy the schema: host\.system"):
        write_evidence(workspace, state.cell, state.lock, wrong)
    assert not (workspace.folder(state.cell) / SMOKE_FILE).exists()
