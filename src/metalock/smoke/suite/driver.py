"""Try capabilities with the interpreter that runs this: `python driver.py --tools DIR --events FILE NAME...`.

Runs inside the environment under test, Python 3.8 and later, and imports nothing of metalock. What happens
is written as JSON lines to the events file, each line before the next step, so that a crash loses nothing.
"""

from __future__ import annotations

import argparse
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

    import pytest
    from recorder import Recorder

    arguments = [
        str(SUITE),
        f"--rootdir={SUITE}",
        f"--basetemp={options.scratch / 'tests'}",
        f"--override-ini=cache_dir={options.scratch / 'cache'}",
        "--noconftest",
        "--assert=plain",
        "--capture=no",
        "--tb=short",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "given",
        "-p",
        "no:warnings",
    ]
    return int(pytest.main(arguments, plugins=[Recorder(options.events, options.names)]))


if __name__ == "__main__":
    sys.exit(main())
