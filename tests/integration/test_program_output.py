"""What a program prints is returned without credentials, whichever stream it writes to."""

from __future__ import annotations

import sys
from pathlib import Path

from metalock.adapters.proc import Completed, run

SECRETS = "see https://me:hush@example.invalid/t/tk-hush/simple and http://hush@127.0.0.1:1"
SHOWN = "see https://example.invalid/t/***/simple and http://127.0.0.1:1"
PROGRAM = "import sys; print('1', sys.argv[1]); print('2', sys.argv[1], file=sys.stderr); sys.exit(3)"


def test_no_output_of_a_program_has_credentials(tmp_path: Path) -> None:
    completed = run([sys.executable, "-c", PROGRAM, SECRETS], env={}, cwd=tmp_path)
    assert completed == Completed(code=3, stdout=f"1 {SHOWN}\n", stderr=f"2 {SHOWN}\n")
