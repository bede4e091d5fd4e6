"""Try capabilities with the interpreter that runs this: `python driver.py --tools DIR --events FILE NAME...`.

Runs inside the environment under test, Python 3.8 and later, and imports nothing of metalock. What happens
is written as JSON lines to the events file, each line before the next step, so that a crash loses nothing.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from pathlib import Path

SUITE = Path(__file__).parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", required=True, help="where pytest is, outside the environment")
    parser.add_argument("--events", required=True, type=Path)
    parser.add_argument("--scratch", required=True, type=Path)
    parser.add_argument("names", nargs="+", help="capabilities, in the order to try them")
    options = parser.parse_args()
    sys.path.append(options.tools)  # at the end, so that the packages of the environment itself come first

    gc.disable()  # it would take a fifth of TensorFlow's import; the recorder collects after each test
    import pytest
    from recorder import Recorder

    arguments = [
        *sorted({str(test_file(name)) for name in options.names}),
        f"--rootdir={SUITE}",
        f"--basetemp={options.scratch / 'tests'}",
        f"--override-ini=cache_dir={options.scratch / 'cache'}",
        "--noconftest",
        "--assert=plain",
        "--capture=no",
        "--tb=native",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "suite_fixtures",  # not "fixtures", which names a plugin of pytest itself
        "-p",
        "no:warnings",
    ]
    return int(pytest.main(arguments, plugins=[Recorder(options.events, options.names)]))


def test_file(name: str) -> Path:
    """Return the file of a capability's area, which is the part of its name before the dot."""
    return SUITE / f"test_{name.partition('.')[0].replace('-', '_')}.py"


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # all is written, and freeing TensorFlow's objects would take a second in each process
