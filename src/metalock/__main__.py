"""The process: `metalock`, and `python -m metalock`."""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def run() -> None:
    """Run the command line, and end the process with its exit code.

    Once rattler has been loaded, the process ends without the interpreter's own clean-up: rattler's threads
    may still be delivering their answer, and one that is stopped inside Python aborts the process (PEP 788).
    """
    code = _exit_code()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except AttributeError:  # None: it was closed from the start
            pass
        except OSError:  # else the interpreter tries again, and ends with code 120
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    if "rattler" in sys.modules:
        os._exit(code)
    raise SystemExit(code)


def _exit_code() -> int:
    """Run the command line; nothing is imported before, so that Ctrl-C is handled in time."""
    try:
        return _run_command_line()
    except KeyboardInterrupt:
        with suppress(OSError):
            os.write(2, b"interrupted\n")
        return 130
    except SystemExit as error:  # of click: 0 after shell completion, 1 if nobody reads its help
        return 141 if error.code else 0
    except BrokenPipeError:
        return 141
    except Exception as error:  # noqa: BLE001 - of an import or an option; commands handle their own
        from metalock.commands.ending import exit_code_of

        if isinstance(error, OSError) and error.filename is None:
            error.filename = "standard output or error"  # click prints help and usage
        return exit_code_of(error, debug="--debug" in sys.argv)


def _run_command_line() -> int:
    import click

    from metalock.cli import main

    try:
        return int(main(prog_name="metalock", standalone_mode=False) or 0)
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        error.show()
        return error.exit_code


if __name__ == "__main__":
    run()
