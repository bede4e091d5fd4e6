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
    sys.path.append(options.tools)  # at the end: what the environment has itself is what counts

    gc.disable()  # a fifth of TensorFlow's import, left to itself; the recorder collects after each test
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
        "given",
        "-p",
        "no:warnings",
    ]
    return int(pytest.main(arguments, plugins=[Recorder(options.events, options.names)]))


def test_file(name: str) -> Path:
    """The file of a capability's area, which is what stands before the dot."""
    return SUITE / f"test_{name.partition('.')[0].replace('-', '_')}.py"


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # all is written; to take TensorFlow down object by object is a second of each process
