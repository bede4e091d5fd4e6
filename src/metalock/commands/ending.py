"""How a run ends: the message and the exit code of every exception."""

from __future__ import annotations

import traceback
from contextlib import suppress

from metalock.adapters.console import OutputClosedError, error_lines, say
from metalock.errors import (
    FAULT_OF_METALOCK,
    INTERRUPTED,
    OUTPUT_CLOSED,
    MetalockError,
    ToolError,
    file_error,
    redact,
)
from metalock.untrusted import one_line

REPORTS = ("issues", "bug tracker", "tracker", "bugs")
"""Labels of a project URL for reports (PEP 753), in lower case."""
SHOWN = 300
"""Characters of an exception's text that a line shows."""


def exit_code_of(error: BaseException, *, debug: bool) -> int:
    """Print what ended the run, and return its exit code; with `debug`, also where it happened."""
    code, lines = _end_of(error)
    if debug and lines:
        lines = [redact("".join(traceback.format_exception(error)).rstrip()), *lines]
    with suppress(OutputClosedError, ToolError):  # stderr is closed, or on a full disk
        for line in lines:
            say(line)
    return code


def _end_of(error: BaseException) -> tuple[int, list[str]]:
    """Return the exit code, and the lines to print; raise what is not for the command line to handle."""
    match error:
        case OutputClosedError():
            return OUTPUT_CLOSED, []
        case KeyboardInterrupt():
            return INTERRUPTED, ["interrupted; finished work is kept, and the next run continues from there"]
        case MetalockError():
            return error.exit_code, error_lines(error)
        case OSError():
            shown = file_error(error)
            return shown.exit_code, error_lines(shown)
        case MemoryError():
            return ToolError.exit_code, ["error: there is not enough memory"]
        case Exception():
            return FAULT_OF_METALOCK, [f"error: {fault_line(error)}"]
        case _:
            raise error


def fault_line(error: Exception) -> str:
    """Return one line for an exception that nothing expected."""
    shown = one_line(redact(f"{type(error).__name__}: {error}"), SHOWN).removesuffix(":")
    where = report_address()
    report = f"Please report it at {where}" if where else "Please report it"
    return f"this is a fault of metalock ({shown}). {report} with the output of `metalock --debug`."


def report_address() -> str | None:
    """Return the address for reports from the installed package's metadata, if it has one."""
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        entries = metadata("metalock").get_all("Project-URL") or []
    except PackageNotFoundError:
        return None
    urls = {
        label.strip().lower(): url.strip() for label, _, url in (entry.partition(",") for entry in entries)
    }
    return next((urls[label] for label in REPORTS if label in urls), None)
