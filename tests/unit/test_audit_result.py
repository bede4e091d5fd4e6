"""record, known, runner and commands: what is written next to a lock, and when it is made again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from audit_samples import MAC, facts
from click.testing import CliRunner
from samples import MATRIX, all_cells, conda, lock_cell, lock_of, locked_workspace

from metalock.adapters.cache import Cache
from metalock.adapters.index import PackageIndex
from metalock.audit import text, wheel_cache
from metalock.audit.facts import WheelFacts
from metalock.audit.reports import known_reports, optional_reason, warnings_of
from metalock.audit.result import (
    AUDIT_FILE,
    Audit,
    Verdict,
    audit_text,
    audited_digest,
    finding_dict,
    make_audit,
    parse_audit,
    renewed,
)
from metalock.audit.rules import RULES_DIGEST, AuditRule
from metalock.audit.run import Audited, audit_cells, audit_lock
from metalock.audit.store import AuditStatus, audit_statuses, read_audit
from metalock.audit.wheel_cache import WheelLibrary
from metalock.cli import main
from metalock.errors import FetchError, MetalockError, NothingSelectedError, UnreadableWheelError
from metalock.findings import Finding
from metalock.lock.model import Lock, PipPackage
from metalock.matrix.model import Cell
from metalock.platforms import Platform
from metalock.untrusted import InvalidFileError
from metalock.workspace import LOCK_FILE, Workspace

GRAVE = Finding(rule=AuditRule.SYMBOL, package="a 1.0", where="a/x.so", detail="so", names=("_TF_A", "é"))


def mac_lock(**pip: str) -> Lock:
    of = next(cell for cell in all_cells() if cell.name == MAC)
    return lock_of(of, pip={name.replace("_", "-"): version for name, version in pip.items()})


def audit_of(*findings: Finding, lock: Lock | None = None) -> Audit:
    return make_audit(lock or mac_lock(), wheels=3, binaries=7, findings=findings)


def test_round_trip() -> None:
    audit = audit_of(GRAVE, Finding(rule=AuditRule.FLOOR, package="b 1.0", detail="so"))
    text = audit_text(audit)
    assert parse_audit(text.encode()) == audit
    assert audit_text(audit_of(*reversed(audit.findings))) == text
    assert text.endswith("}\n")
    table = json.loads(text)
    assert list(table) == ["schema", "rules", "lock", "verdict", "meaning", "wheels", "binaries", "findings"]
    assert (table["lock"], table["verdict"]) == (audited_digest(mac_lock()), "fails")
    assert "not that it runs" in table["meaning"]
    assert list(table["findings"][1]) == ["rule", "package", "path", "detail", "names", "fix", "page"]


def test_what_the_rules_do_not_see_makes_no_result_stale() -> None:
    lock = mac_lock(tensorflow="2.11.0", tensorflow_metal="0.7.0")
    rebuilt = replace(lock, inputs="0" * 64, conda=(conda("libgcc"), *lock.conda))
    assert audited_digest(rebuilt) == audited_digest(lock)
    others = [
        replace(lock, floor="14.0"),
        replace(lock, python="3.9.1"),
        replace(lock, conda=(conda("setuptools", depends=["python"]), *lock.conda)),
        replace(lock, pip=lock.pip[1:]),
        replace(lock, pip=(replace(lock.pip[0], sha256="0" * 64), *lock.pip[1:])),
    ]
    assert len({audited_digest(one) for one in [lock, *others]}) == 6


def test_result_of_other_rules_is_stale_and_says_so(tmp_path: Path) -> None:
    workspace = locked_workspace(tmp_path)
    state = workspace.state(next(cell for cell in workspace.cells() if cell.unavailable is None))
    assert state.lock is not None
    audit = replace(audit_of(lock=state.lock), wheels=len(state.lock.pip))
    for rules, word in ((RULES_DIGEST, "loads"), ("0" * 16, "stale: made by other rules")):
        text = audit_text(replace(audit, rules=rules))
        (workspace.folder(state.cell) / AUDIT_FILE).write_text(text)
        assert audit_statuses(workspace, [state])[state.cell.name].short == word
        assert (read_audit(workspace, state.cell, state.lock) is None) is (rules != RULES_DIGEST)


def test_result_that_states_no_rules_is_stale() -> None:
    table = json.loads(audit_text(audit_of()))
    del table["rules"]
    assert parse_audit(json.dumps(table).encode()).rules != RULES_DIGEST


def changed(**values: object) -> bytes:
    return json.dumps({**json.loads(audit_text(audit_of(GRAVE))), **values}).encode()


def with_finding(**values: object) -> bytes:
    return changed(findings=[{**finding_dict(GRAVE), **values}])


def with_wheels(wheels: int, *findings: Finding) -> bytes:
    return audit_text(make_audit(mac_lock(), wheels=wheels, binaries=0, findings=findings)).encode()


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"null", "file: expected an object"),
        (b"[]", "file: expected an object"),
        (b"{}", "schema: missing"),
        (b'"schema"', "file: expected an object"),
        (b"[" * 100_000, "not JSON"),
        (b'{"schema": ' + b"1" * 10_000 + b"}", "not JSON"),
        (audit_text(audit_of(GRAVE)).encode()[:-20], "not JSON"),
        (changed(schema=0), "schema: expected an integer from"),
        (changed(lock="d"), "lock: expected one line"),
        (changed(more=1), "more: unknown key"),
        (changed(wheels="many"), "wheels: expected an integer"),
        (changed(wheels=None), "wheels: expected an integer"),
        (changed(wheels=True), "wheels: expected an integer"),
        (changed(wheels=-1), "wheels: expected an integer"),
        (changed(wheels=10**400), "wheels: expected an integer"),
        (changed(wheels=float("inf")), "not JSON: Infinity"),
        (changed(wheels=float("nan")), "not JSON: NaN"),
        (changed(binaries=1.5), "binaries: expected an integer"),
        (changed(meaning="a\n# b"), "meaning: expected one line"),
        (changed(findings=None), "findings: expected an array"),
        (changed(findings=1), "findings: expected an array"),
        (changed(findings=["A402"]), "findings[0]: expected an object"),
        (changed(findings=[None]), "findings[0]: expected an object"),
        (changed(findings=[{"rule": "A402"}]), "findings[0].package: missing"),
        (changed(verdict="loads"), "verdict: the findings give fails"),
        (changed(verdict="unreadable"), "verdict: the findings give fails"),
        (changed(verdict="works"), "verdict: expected one of"),
        (changed(findings=[]), "verdict: the findings give loads"),
        (with_wheels(0), "wheels: nothing was audited"),
        (with_finding(rule="A999"), "findings[0].rule: there is no such rule"),
        (with_finding(rule=None), "findings[0].rule: expected one line"),
        (with_finding(path="a\x1b[31m"), "findings[0].path: expected one line"),
        (with_finding(detail="a\n# b"), "findings[0].detail: expected one line"),
        (with_finding(package="x" * 2001), "findings[0].package: expected one line"),
        (with_finding(names="_TF_A"), "findings[0].names: expected an array"),
        (with_finding(names=[1]), "findings[0].names[0]: expected one line"),
        (with_finding(names=["a\nb"]), "findings[0].names[0]: expected one line"),
        (with_finding(more=1), "findings[0].more: unknown key"),
    ],
)  # fmt: skip
def test_what_is_no_audit(data: bytes, fault: str) -> None:
    with pytest.raises(InvalidFileError) as caught:
        parse_audit(data)
    assert any(found.startswith(fault) for found in caught.value.faults), caught.value.faults


def test_any_name_in_a_wheel_can_be_recorded() -> None:
    odd = Finding(
        rule=AuditRule.SYMBOL,
        package="a 1.0\n",
        where="a\n# b/\udcff.so",
        detail="\x1b[31m" + "x" * 3000,
        names=("_a\x00b", "y" * 20_000),
    )
    audit = audit_of(odd)
    assert parse_audit(audit_text(audit).encode()) == audit
    assert audit.findings[0].where == "a # b/\N{REPLACEMENT CHARACTER}.so"


def test_all_wheels_of_the_lock_were_audited(workspace: Workspace) -> None:
    """Fewer only where the others could not be read, which is a finding."""
    cell = linux(workspace)[0]
    lock = workspace.state(cell).lock
    assert lock is not None
    path = workspace.folder(cell) / AUDIT_FILE

    def status(wheels: int, *findings: Finding) -> AuditStatus:
        audit = make_audit(lock, wheels=wheels, binaries=1, findings=findings)
        path.write_text(audit_text(audit))
        return audit_statuses(workspace, [workspace.state(cell)])[cell.name]

    assert len(lock.pip) == 1
    assert status(1).verdict is Verdict.LOADS
    assert status(2).fault == "wheels: 2 were audited, the lock has 1"
    assert status(0).fault == "wheels: nothing was audited"
    assert status(0, GRAVE).fault == "wheels: 0 were audited, the lock has 1"
    unreadable = Finding(rule=AuditRule.UNREADABLE, package="a 1.0", detail="no")
    assert status(0, unreadable) == AuditStatus(is_stale=True)
    assert (status(0).words, read_audit(workspace, cell, lock)) == ("not audited", None)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (AuditStatus(), "not audited"),
        (AuditStatus(is_stale=True), "stale"),
        (AuditStatus(fault="no"), "not audited"),
        (AuditStatus(verdict=Verdict.FAILS), "fails"),
        (AuditStatus(verdict=Verdict.LOADS, warnings=1), "loads, 1 warning"),
        (AuditStatus(verdict=Verdict.LOADS, warnings=2), "loads, 2 warnings"),
    ],
)
def test_words(status: AuditStatus, words: str) -> None:
    assert (status.words, status.short) == (words, words.partition(",")[0])


# Reports.


def test_reports_concern_versions_and_platforms() -> None:
    reported = mac_lock(tensorflow="2.11.0", tensorflow_metal="0.7.0")
    (finding,) = warnings_of(reported)
    assert (finding.rule, finding.package) == (AuditRule.KNOWN, "tensorflow-metal 0.7.0")
    assert "could not find registered platform with id" in finding.detail
    assert list(warnings_of(mac_lock(tensorflow="2.11.0"))) == []
    assert list(warnings_of(mac_lock(tensorflow_metal="0.7.0"))) == []
    assert list(warnings_of(mac_lock(tensorflow="2.12.0", tensorflow_metal="0.7.0"))) == []
    assert list(warnings_of(mac_lock(tensorflow_macos="2.11.0", tensorflow_metal="0.7.1"))) != []


def test_reports_are_complete() -> None:
    for known in known_reports():
        assert known.detail
        assert known.sources
        assert known.platforms
        assert known.concerns(min(known.platforms), "0", None) is False


def test_optional_parts() -> None:
    ffmpeg = "tensorflow_io/python/ops/libtensorflow_io_ffmpeg_4.2.so"
    assert optional_reason("tensorflow-io", ffmpeg)
    assert optional_reason("tensorflow-metal", ffmpeg) is None
    assert optional_reason("tensorflow-io", "tensorflow_io/python/ops/libtensorflow_io.so") is None
    assert optional_reason("tensorflow-io", f"elsewhere/{ffmpeg}") is None


def test_reports_are_renewed() -> None:
    lock = mac_lock(tensorflow="2.11.0", tensorflow_metal="0.7.0")
    old = Finding(rule=AuditRule.KNOWN, package="tensorflow-metal 0.7.0", detail="as it was worded once")
    audit = Audit(lock=audited_digest(lock), wheels=3, binaries=7, findings=(GRAVE, old))
    fresh = renewed(audit, lock)
    assert fresh == make_audit(lock, wheels=3, binaries=7, findings=[GRAVE])
    assert [finding.rule for finding in fresh.findings] == [AuditRule.SYMBOL, AuditRule.KNOWN]
    assert "as it was worded once" not in audit_text(fresh)


# The runner.


class Shelf(WheelLibrary):
    """A library with clean wheels, other than those named."""

    def __init__(self, folder: Path, others: dict[str, WheelFacts | MetalockError] | None = None) -> None:
        super().__init__(PackageIndex(None), Cache(folder))
        self._others = others or {}
        self.asked: list[str] = []

    def facts(
        self, packages: Iterable[PipPackage], platform: Platform
    ) -> Iterator[tuple[PipPackage, WheelFacts | MetalockError]]:
        for package in packages:
            self.asked.append(f"{platform} {package.name}")
            yield package, self._others.get(package.name) or facts(package.name, package.version)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return locked_workspace(tmp_path)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "cache")


def linux(workspace: Workspace) -> list[Cell]:
    return [cell for cell in workspace.cells() if cell.platform is Platform.LINUX_64]


def run(workspace: Workspace, shelf: WheelLibrary, *, again: bool = False) -> list[Verdict]:
    return [a.audit.verdict for a in audit_cells(workspace, linux(workspace), shelf, again=again)]


def test_runner_writes_next_to_the_lock(workspace: Workspace, shelf: Shelf) -> None:
    folder = workspace.folder(linux(workspace)[0])
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert run(workspace, shelf) == [Verdict.LOADS, Verdict.LOADS]
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert after.keys() - before.keys() == {AUDIT_FILE}
    assert {name: after[name] for name in before} == before
    assert shelf.asked == ["linux-64 tensorflow"] * 2


def test_runner_keeps_what_is_valid(workspace: Workspace, shelf: Shelf) -> None:
    run(workspace, shelf)
    path = workspace.folder(linux(workspace)[0]) / AUDIT_FILE
    before = path.read_bytes()
    shelf.asked.clear()
    assert run(workspace, shelf) == [Verdict.LOADS, Verdict.LOADS]
    assert shelf.asked == []
    assert run(workspace, shelf, again=True) == [Verdict.LOADS, Verdict.LOADS]
    assert len(shelf.asked) == 2
    assert path.read_bytes() == before


def test_runner_audits_again_when_the_lock_changes(workspace: Workspace, shelf: Shelf) -> None:
    run(workspace, shelf)
    first = linux(workspace)[0]
    newer = lock_of(first, pip={"tensorflow": "2.18.1", "six": "1.17"})
    lock_cell(workspace, first, newer)
    assert read_audit(workspace, first, newer) is None
    shelf.asked.clear()
    run(workspace, shelf)
    assert shelf.asked == ["linux-64 six", "linux-64 tensorflow"]
    assert read_audit(workspace, first, newer) is not None


@pytest.mark.parametrize("data", [b"", b"\xff", b"{}", b"[" * 100_000])
def test_runner_makes_a_broken_file_again(workspace: Workspace, shelf: Shelf, data: bytes) -> None:
    run(workspace, shelf)
    path = workspace.folder(linux(workspace)[0]) / AUDIT_FILE
    before = path.read_bytes()
    path.write_bytes(data)
    run(workspace, shelf)
    assert path.read_bytes() == before


def test_runner_renews_reports_without_reading_a_wheel(workspace: Workspace, shelf: Shelf) -> None:
    run(workspace, shelf)
    path = workspace.folder(linux(workspace)[0]) / AUDIT_FILE
    before = path.read_text()
    old = finding_dict(Finding(rule=AuditRule.KNOWN, package="a 1.0", detail="as it was worded once"))
    path.write_text(json.dumps({**json.loads(before), "findings": [old]}))
    shelf.asked.clear()
    run(workspace, shelf)
    assert shelf.asked == []
    assert path.read_text() == before


def test_runner_needs_a_lock(workspace: Workspace, shelf: Shelf) -> None:
    for cell in workspace.cells():
        (workspace.folder(cell) / LOCK_FILE).unlink()
    with pytest.raises(NothingSelectedError, match="nothing to audit, not locked: linux-64/"):
        run(workspace, shelf)


def test_wheel_that_was_not_read_is_never_clean(workspace: Workspace, tmp_path: Path) -> None:
    broken = Shelf(tmp_path / "cache", {"tensorflow": UnreadableWheelError("tensorflow.whl", "cut off")})
    assert run(workspace, broken) == [Verdict.UNREADABLE, Verdict.UNREADABLE]
    (first, *_) = linux(workspace)
    lock = workspace.state(first).lock
    assert lock is not None
    assert read_audit(workspace, first, lock) is None, "it is looked at again in the next run"


def test_wheel_that_can_not_be_had_is_no_finding(workspace: Workspace, tmp_path: Path) -> None:
    broken = Shelf(tmp_path / "cache", {"tensorflow": FetchError("no such wheel")})
    with pytest.raises(FetchError, match="no such wheel"):
        run(workspace, broken)
    assert not list(workspace.envs.rglob(AUDIT_FILE))


def test_wheel_without_an_answer_is_never_clean() -> None:
    audit = audit_lock(mac_lock(tensorflow="2.18.1"), {})
    assert (audit.verdict, audit.wheels) == (Verdict.UNREADABLE, 0)
    assert [finding.detail for finding in audit.findings] == ["was not read"]


# The command.


@pytest.fixture
def folder(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(workspace.root)
    return workspace.root


def command(monkeypatch: pytest.MonkeyPatch, shelf: WheelLibrary, *args: str) -> tuple[int, str, str]:
    monkeypatch.setattr(wheel_cache, "open_library", lambda _: shelf)
    result = CliRunner().invoke(main, ["audit", "--platform", "linux-64", *args])
    return result.exit_code, result.stdout, result.stderr


def test_command(folder: Path, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = command(monkeypatch, shelf)
    assert code == 0
    assert out.splitlines() == [
        "linux-64/tf2.18-py3.10: loads, 1 wheels, 0 binaries",
        "linux-64/tf2.18-py3.11: loads, 1 wheels, 0 binaries",
    ]
    assert err.splitlines()[-1].startswith("2 loads (loads: the loader takes every file and finds ")


def failing(folder: Path) -> Shelf:
    path = "tensorflow_io/python/ops/libtensorflow_io_ffmpeg_4.2.so"
    wheel = facts("tensorflow", "2.18.1", requires=["six"], foreign={path: ("arm64",)})
    return Shelf(folder / "cache", {"tensorflow": wheel})


def test_command_shows_findings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = command(monkeypatch, failing(folder), "--env", "tf2.18-py3.11")
    assert code == 1
    path = "tensorflow_io/python/ops/libtensorflow_io_ffmpeg_4.2.so"
    assert out.splitlines() == [
        "linux-64/tf2.18-py3.11: fails, 1 wheels, 0 binaries",
        f"  A201 error: tensorflow 2.18.1, {path}: is for arm64, not for x86_64",
        f"      fix: {AuditRule.ARCHITECTURE.fix} (docs/audit.md#a201)",
        "  A504 error: tensorflow 2.18.1: requires six, and the lock has no six",
        f"      fix: {AuditRule.REQUIREMENT.fix} (docs/audit.md#a504)",
    ]
    assert err.splitlines()[-1].startswith("1 fails (")


def test_command_as_json(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = command(monkeypatch, failing(folder), "--json")
    assert code == 1
    rows = json.loads(out)
    assert [(row["env"], row["verdict"]) for row in rows] == [
        ("tf2.18-py3.10", "fails"),
        ("tf2.18-py3.11", "fails"),
    ]
    assert list(rows[0]) == ["env", "platform", "lock", "verdict", "findings"]
    assert [finding["rule"] for finding in rows[0]["findings"]] == ["A201", "A504"]


def test_command_is_not_green_for_what_was_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unread = Shelf(folder / "cache", {"tensorflow": UnreadableWheelError("tensorflow.whl", "cut off")})
    code, out, err = command(monkeypatch, unread)
    assert code == 1
    assert "A901 error: tensorflow-2.18.1-py3-none-any.whl: tensorflow.whl: cut off" in out
    assert err.splitlines()[-1].startswith("2 unreadable (")


def test_lines_repeat_some_names_only() -> None:
    lock = mac_lock(tensorflow="2.11.0", tensorflow_metal="0.7.0")
    many = Finding(rule=AuditRule.SYMBOL, package="a 1.0", detail="so", names=tuple("abcdef"))
    of = next(cell for cell in all_cells(MATRIX) if cell.name == MAC)
    audited = Audited(cell=of, lock=lock, audit=audit_of(many, lock=lock))
    lines = list(text.lines_of(audited))
    assert lines[:6] == [
        f"{MAC}: fails, 3 wheels, 7 binaries",
        "  A402 error: a 1.0: so",
        *(f"      {name}" for name in "abcd"),
    ]
    assert lines[6] == "      and 2 more"
    assert lines[7].startswith("      fix: Choose a release of the plugin ")
    assert lines[8].startswith(
        "  A601 warning: tensorflow-metal 0.7.0: it loads and is reported not to train"
    )
    assert len(lines) == 9, "nothing is to be fixed where it is a warning"


def test_nothing_to_audit_is_not_green(workspace: Workspace, shelf: Shelf) -> None:
    with pytest.raises(NothingSelectedError):
        list(audit_cells(workspace, [], shelf, again=False))
