"""cli: options, exit codes and words; what commands do is tested where it is done."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from samples import MATRIX, locked_workspace

from metalock import __version__
from metalock.cli import SECTIONS, main
from metalock.commands.export import export_group
from metalock.commands.options import NeedsType, exits_with_its_code
from metalock.overview.readme import BEGIN, END

NOT_THERE = "error: nothing selected: the matrix has no such environment on that platform"
NOTHING = "error: no environment matches all filters"
NEAR = "error: no environment 'tf2.18-py3.12' in the matrix; did you mean \"tf2.18-py3.11\"?"
PLATFORM = "unknown platform 'win-64'; expected one of osx-arm64, osx-64, linux-64"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    locked_workspace(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*args: str) -> Result:
    return CliRunner().invoke(main, args)


def commands(group: click.Group, *path: str) -> list[tuple[str, ...]]:
    found = [path]
    for name, command in group.commands.items():
        found += commands(command, *path, name) if isinstance(command, click.Group) else [(*path, name)]
    return found


@pytest.mark.parametrize("command", commands(main), ids=" ".join)
def test_help(command: tuple[str, ...]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: ")
    assert run(*command, "-h").stdout == result.stdout
    assert [line for line in result.stdout.splitlines() if len(line) > 80] == []


def test_the_help_of_make_fits_80_columns() -> None:
    text = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")
    lines = [f"make {name:16} {what}" for name, what in re.findall(r"(?m)^([a-z-]+):.*## (.*)$", text)]
    assert len(lines) > 10
    assert [line for line in lines if len(line) > 80] == []


def test_the_list_of_commands_is_whole_and_fits_80_columns() -> None:
    lines = run("--help").stdout.splitlines()
    assert max(len(line) for line in lines) <= 80
    listed = [command for section in SECTIONS.values() for command in section]
    assert sorted(command.name or "" for command in listed) == sorted(main.commands)
    for command in [*listed, *export_group.commands.values()]:
        assert command.short_help
        shown = lines if command in listed else run("export", "--help").stdout.splitlines()
        assert [command.name, command.short_help] in [line.strip().split(maxsplit=1) for line in shown]


def test_version() -> None:
    assert run("--version").stdout == f"metalock, version {__version__}\n"


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["list", "--env", "tf2.18-py3.12"], 2, NEAR),
        (["list", "--env", "zzz"], 2, "error: no environment 'zzz' in the matrix"),
        (["list", "--python", "3.99"], 5, NOTHING),
        (["list", "--platform", "osx-64"], 5, NOTHING),
        (["env", "--platform", "osx-64"], 5, NOT_THERE),
        (["check", "--offline", "--platform", "osx-64"], 5, NOT_THERE),
        (["list", "--matrix", "absent.toml"], 2, "error: absent.toml does not exist"),
        (["list", "--update", "matrix.toml"], 2, "error: matrix.toml has no markers for the table"),
        (["init", "."], 2, "error: matrix.toml exists already"),
        (["smoke", "envs"], 2, "error: no environment of the matrix is named 'envs', as the folder is"),
        (["build"], 2, "error: ENV is missing"),
        (["export", "conda-lock", "zzz"], 2, "error: no environment 'zzz' in the matrix"),
    ],
)  # fmt: skip
def test_errors_in_one_line(folder: Path, args: list[str], code: int, message: str) -> None:
    result = run(*args)
    assert (result.exit_code, result.stdout) == (code, "")
    first, *rest = result.stderr.splitlines()
    assert first == message
    assert rest
    assert all(line.startswith("hint: ") for line in rest)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["list", "--platform", "linux64"], 'unknown platform \'linux64\'; did you mean "linux-64"?'),
        (["env", "--platform", "win-64"], PLATFORM),
        (["list", "--needs", "metla"], 'unknown column \'metla\'; did you mean "metal"?'),
        (["list", "--needs", "metal,"], "unknown column ''; expected some of metal, tfio, "),
        (["list", "--macos", "Monterey"], "'Monterey' is not a version such as 13 or 2.28"),
        (["env", "--jobs", "0"], "0 is not in the range x>=1"),
        (["list", "--nosuch"], "No such option"),
        (["nosuch"], "No such command 'nosuch'"),
    ],
)  # fmt: skip
def test_bad_usage(folder: Path, args: list[str], message: str) -> None:
    result = run(*args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_a_faulty_matrix(folder: Path) -> None:
    (folder / "matrix.toml").write_text(MATRIX.replace("conda-forge", "https://u:secret@example.invalid/a"))
    for args in (["env"], ["list"], ["check"], ["diff"], ["export", "conda-lock", "x"]):
        result = run(*args)
        assert result.exit_code == 2
        assert result.stderr.splitlines()[:2] == [
            "error: matrix.toml: 1 fault",
            "  channels[0]: a URL with credentials; keep those in your conda settings",
        ]
        assert "secret" not in result.output


def test_findings_are_exit_code_one(folder: Path) -> None:
    assert run("env", "--check").exit_code == 0
    (folder / "envs" / "linux-64" / "tf2.18-py3.11" / "conda.lock").write_text("")
    result = run("env", "--check")
    assert (result.exit_code, result.stderr) == (1, "1 finding\n")
    assert result.stdout.startswith("D003 envs/linux-64/tf2.18-py3.11: conda.lock is not what ")
    result = run("check", "--offline", "--json")
    assert result.exit_code == 1
    (finding,) = json.loads(result.stdout)
    assert finding.keys() == {"code", "rule", "where", "detail", "fix"}
    assert finding["code"] == "D003"
    assert run("check", "--offline", "--env", "tf2.18-py3.10").exit_code == 0


def test_env_renders_again_without_any_server(folder: Path) -> None:
    path = folder / "envs" / "linux-64" / "tf2.18-py3.11" / "conda.lock"
    before = path.read_bytes()
    path.write_text("")
    result = run("env", "--platform", "linux-64")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.splitlines() == [
        "1 rendered, 1 up to date",
        "use: conda env create -f envs/linux-64/tf2.18-py3.11/environment.yml",
    ]
    assert path.read_bytes() == before


def test_list_as_json(folder: Path) -> None:
    rows = json.loads(run("list", "--json", "--platform", "linux-64", "--python", "3.11").stdout)
    assert rows == [
        {
            "env": "tf2.18-py3.11",
            "platform": "linux-64",
            "stack": "tf2.18",
            "python": "3.11",
            "floor": {"glibc": "2.28"},
            "default": True,
            "unavailable": None,
            "lock": "current",
            "tier": "locked",
            "audit": "not audited",
            "smoke": {"words": "not tried"},
            "columns": {"tensorflow": {"specifier": "==2.18.1", "unavailable": None}},
        }
    ]


def test_list_updates_a_document(folder: Path) -> None:
    document = folder / "README.md"
    document.write_text(f"{BEGIN}\n{END}\n")
    assert run("list", "--update", "README.md").stderr == "README.md: table written\n"
    assert run("list", "--markdown").stdout.strip() in document.read_text()
    assert run("list", "--update", "README.md").stderr == "README.md: table up to date\n"


def test_list_keeps_the_ends_of_lines_of_a_document(folder: Path) -> None:
    document = folder / "README.md"
    document.write_bytes(b"\xef\xbb\xbf" + f"# Title\r\n{BEGIN}\r\n{END}\r\nEnd\r\n".encode())
    run("list", "--update", "README.md")
    data = document.read_bytes()
    assert data.startswith(b"\xef\xbb\xbf# Title\r\n")
    assert data.count(b"\n") == data.count(b"\r\n") > 5
    assert run("list", "--update", "README.md").stderr == "README.md: table up to date\n"
    document.write_bytes(b"# Title\r\n" + f"{BEGIN}\n{END}\n".encode())
    run("list", "--update", "README.md")
    assert b"\r" not in document.read_bytes()


def test_answers_are_written_and_checked(folder: Path) -> None:
    page = folder / "docs" / "answers.md"
    page.parent.mkdir()
    assert run("answers", "--update", "docs/answers.md").stderr == "docs/answers.md: written\n"
    assert run("answers").stdout == page.read_text(encoding="utf-8")
    assert run("answers", "--update", "docs/answers.md").stderr == "docs/answers.md: up to date\n"
    assert run("check", "--offline").exit_code == 0
    page.write_text("by hand\n")
    result = run("check", "--offline")
    assert result.exit_code == 1
    assert result.stdout.startswith("D007 docs/answers.md: ")


def test_init_writes_what_list_reads(tmp_path: Path) -> None:
    result = run("init", str(tmp_path / "new"))
    assert result.exit_code == 0
    assert result.stderr.endswith(f"next: in {tmp_path / 'new'}, run `metalock list`, then `metalock env`\n")
    assert run("list", "--matrix", str(tmp_path / "new" / "matrix.toml")).exit_code == 0


def test_an_interrupt_is_130() -> None:
    @click.command()
    @exits_with_its_code
    def command() -> int:
        raise KeyboardInterrupt

    result = CliRunner().invoke(command)
    assert result.exit_code == 130
    assert result.stderr.startswith("interrupted; ")


def test_needs_are_columns_by_any_name() -> None:
    assert NeedsType().convert("metal,tfio,keras", None, None) == (
        "tensorflow-metal",
        "tensorflow-io",
        "keras",
    )
    assert NeedsType().convert((), None, None) == ()


def test_an_updated_document_may_be_a_link_but_no_device(folder: Path) -> None:
    (folder / "docs").mkdir()
    (folder / "docs" / "table.md").write_text(f"{BEGIN}\n{END}\n")
    (folder / "docs" / "table.md").chmod(0o640)
    for name in ("table.md", "page.md"):
        (folder / f"link-to-{name}").symlink_to(f"docs/{name}")
    assert run("list", "--update", "link-to-table.md").exit_code == 0
    assert run("answers", "--update", "link-to-page.md").exit_code == 0
    assert "tf2.18" in (folder / "docs" / "table.md").read_text()
    assert (folder / "docs" / "table.md").stat().st_mode & 0o777 == 0o640
    assert (folder / "docs" / "page.md").read_text().startswith("# ")
    assert (folder / "link-to-table.md").is_symlink()
    assert (folder / "link-to-page.md").is_symlink()
    refused = run("answers", "--update", "/dev/null")
    assert refused.exit_code == 2
    assert refused.stderr.startswith("error: /dev/null is not a regular file\n")
