"""The process: `metalock`, and `python -m metalock`."""

from __future__ import annotations

import os
import sys

from metalock.cli import main


def run() -> None:
    """Run the command line, and end the process with its exit code.

    Without the interpreter's own farewell once rattler has been loaded: its threads may still be
    handing over their answer, and one that is stopped inside Python aborts the process (PEP 788).
    """
    try:
        main(prog_name="metalock")
    except SystemExit as end:
        if "rattler" not in sys.modules:
            raise
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else 1)


if __name__ == "__main__":
    run()
