"""Options that commands share, and the exit code of a command."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

from metalock.adapters.proc import termination_interrupts
from metalock.commands.ending import exit_code_of
from metalock.errors import UsageError
from metalock.faults import did_you_mean
from metalock.matrix.model import COLUMNS
from metalock.overview.query import NEEDS
from metalock.platforms import Platform

Command = TypeVar("Command", bound=Callable[..., Any])
Arguments = ParamSpec("Arguments")


class PlatformType(click.ParamType[Platform]):
    """A conda subdir that metalock has locks for."""

    name = "platform"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Platform:
        if value in tuple(Platform):
            return Platform(str(value))
        guess = did_you_mean(str(value), Platform) or f"; expected one of {', '.join(Platform)}"
        return self.fail(f"unknown platform {value!r}{guess}", param, ctx)


class NeedsType(click.ParamType[tuple[str, ...]]):
    """Columns by their name or short name, separated by commas."""

    name = "needs"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        known = list(dict.fromkeys([*NEEDS, *COLUMNS]))
        for word in str(value).split(","):
            if word not in known:
                guess = did_you_mean(word, known) or f"; expected some of {', '.join(known)}"
                self.fail(f"unknown column {word!r}{guess}", param, ctx)
        return tuple(NEEDS.get(word, word) for word in str(value).split(","))


class SystemType(click.ParamType[str]):
    """A macOS or glibc version."""

    name = "version"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3}){0,2}", str(value)):
            self.fail(f"{value!r} is not a version such as 13 or 2.28", param, ctx)
        return str(value)


def with_matrix(command: Command) -> Command:
    """Add `--matrix`: the file to work on."""
    return click.option(
        "--matrix",
        "matrix_file",
        type=click.Path(dir_okay=False, path_type=Path),
        default=Path("matrix.toml"),
        show_default=True,
        help="The matrix; templates/ and envs/ are next to it.",
    )(command)


def with_selection(command: Command) -> Command:
    """Add `--platform` and `--env`: which cells."""
    env = click.option(
        "--env", "envs", multiple=True, metavar="NAME", help="Only this environment; repeatable."
    )
    platform = click.option(
        "--platform", "platforms", multiple=True, type=PlatformType(), help="Only this platform; repeatable."
    )
    return platform(env(command))


def refuse_together(options: Mapping[str, object]) -> None:
    """Raise `UsageError` if more than one of the options was given; empty values mean no."""
    given = [name for name, value in options.items() if value]
    if len(given) > 1:
        raise UsageError(f"{given[0]} and {given[1]} contradict each other", hint="Give only one of them.")


def today() -> date:
    """Return the day in UTC: commands alone look at the clock."""
    return datetime.now(UTC).date()


def exits_with_its_code(function: Callable[Arguments, int]) -> Callable[Arguments, None]:
    """Run the command; its value is the exit code, and an error is printed in a line."""

    @functools.wraps(function)
    def wrapped(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        context = click.get_current_context()
        debug = bool(context.find_root().params.get("debug"))
        try:
            with termination_interrupts():
                code = function(*args, **kwargs)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except BaseException as error:  # noqa: BLE001 - the edge: every exception has an exit code
            code = exit_code_of(error, debug=debug)
        context.exit(code)

    return wrapped
