"""How a run ends: every exception has an exit code, and a message that says what to do."""

from __future__ import annotations

import re
import shutil
from email.message import Message
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from metalock.adapters.console import OutputClosedError, TerminalReporter, out
from metalock.cli import main
from metalock.commands.ending import fault_line, report_address
from metalock.commands.options import exits_with_its_code
from metalock.errors import FAULT_OF_METALOCK, INTERRUPTED, OUTPUT_CLOSED, UsageError


def ended_by(error: BaseException, *args: str) -> Result:
    """Run a command that ends with that exception."""

    @click.group()
    @click.option("--debug", is_flag=True)
    def group(*, debug: bool) -> None:
        pass

    @group.command("x")
    @exits_with_its_code
    def command() -> int:
        raise error

    return CliRunner().invoke(group, [*args, "x"])


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (
            FileNotFoundError(2, "No such file or directory", "a/b"),
            4,
            ["error: a/b: No such file or directory"],
        ),
        (
            OSError(28, "No space left on device"),
            4,
            [
                "error: No space left on device",
                "hint: The system did not name a file; `metalock --debug` shows the place.",
            ],
        ),
        (shutil.Error([("a", "b", "denied"), ("c", "d", "x")]), 4, ["error: a: denied"]),
        (MemoryError(), 4, ["error: there is not enough memory"]),
        (OutputClosedError(), 141, []),
        (UsageError("no", hint="Do."), 2, ["error: no", "hint: Do."]),
    ],
)  # fmt: skip
def test_exceptions_and_their_codes(error: BaseException, code: int, lines: list[str]) -> None:
    result = ended_by(error)
    assert (result.exit_code, result.stderr.splitlines()) == (code, lines)


@pytest.mark.parametrize(
    "error",
    [
        KeyError("https://me:secret@example.invalid/x"),
        RecursionError("maximum recursion depth exceeded\nin a comparison"),
        UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
        AssertionError(),
        ValueError("x" * 10_000),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_unforeseen_exception_is_70_and_one_line(error: Exception) -> None:
    result = ended_by(error)
    (line,) = result.stderr.splitlines()
    assert result.exit_code == 70
    assert line.startswith(f"error: this is a fault of metalock ({type(error).__name__}")
    assert line.endswith(" with the output of `metalock --debug`.")
    assert "secret" not in line
    assert len(line) < 500


@pytest.mark.parametrize("before", range(250, 300))
def test_a_password_at_the_end_of_a_long_message_is_not_shown(before: int) -> None:
    assert "secret" not in fault_line(ValueError("x" * before + " https://me:secret@example.invalid/x"))


def test_an_exception_without_a_message_is_named() -> None:
    assert "fault of metalock (ValueError). " in fault_line(ValueError())


def test_debug_shows_the_traceback() -> None:
    result = ended_by(KeyError("https://me:secret@example.invalid/x"), "--debug")
    assert result.exit_code == 70
    first, *_, last = result.stderr.splitlines()
    assert first == "Traceback (most recent call last):"
    assert last.startswith("error: this is a fault of metalock")
    assert "secret" not in result.stderr
    assert "Traceback" in ended_by(UsageError("no"), "--debug").stderr
    assert "Traceback" not in ended_by(UsageError("no")).stderr


@pytest.mark.parametrize(
    ("urls", "address"),
    [
        (
            ["Homepage, https://a.invalid", "Issues, https://a.invalid/issues"],
            "https://a.invalid/issues",
        ),
        (["Bug Tracker,https://a.invalid/b"], "https://a.invalid/b"),
        (["Homepage, https://a.invalid"], None),
        ([], None),
    ],
)
def test_where_to_report_a_fault(
    urls: list[str], address: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = Message()
    for url in urls:
        package["Project-URL"] = url
    monkeypatch.setattr("importlib.metadata.metadata", lambda _: package)
    assert report_address() == address
    line = ended_by(KeyError("x")).stderr
    assert (f"Please report it at {address} with" if address else "Please report it with") in line


def test_exit_codes_are_in_the_help_and_the_readme() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    listed = readme.partition("**Exit codes.**")[2].partition("##")[0]
    shown = CliRunner().invoke(main, ["--help"]).stdout
    for code in (0, 1, 2, 3, 4, 5, FAULT_OF_METALOCK, INTERRUPTED, OUTPUT_CLOSED):
        assert re.search(rf"\b{code}  \w", shown)
        assert re.search(rf"\b{code} \w", listed)


def test_output_is_printable_on_any_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    out("a\x1b[2J\ud800\r\tb\nc")
    assert capsys.readouterr().out == "a\\x1b[2J\\ud800\\r\tb\nc\n"


def test_output_next_to_a_bar_is_printable_on_any_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = TerminalReporter()
    reporter.start("reading", 1)
    reporter.advance("a.whl", "the server answered 403 \x1b]0;title\x07")
    reporter.note("waiting for a\x1b[2J")
    reporter.finish()
    shown = capsys.readouterr().err
    assert "a.whl: the server answered 403 \\x1b]0;title\\x07" in shown
    assert "waiting for a\\x1b[2J" in shown
