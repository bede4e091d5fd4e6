"""The one door to other programs."""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from metalock.errors import ToolError, redact


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """How a program ended, and what it said."""

    code: int
    stdout: str
    stderr: str


def run(
    args: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path,
    stdin: str = "",
    timeout: float = 1800,
    keep_open: Collection[int] = (),
) -> Completed:
    """Run a program to its end, in exactly the environment given; `timeout` in seconds.

    It holds the file descriptors of `keep_open` for as long as it runs. Raises `ToolError` if
    it can't be started or doesn't end in time. What it printed comes back without credentials.
    """
    try:
        result = subprocess.run(  # the one place: arguments are a list, never a shell's text
            [str(arg) for arg in args],
            env=dict(env),
            cwd=cwd,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            pass_fds=tuple(keep_open),
            check=False,
        )
    except FileNotFoundError:
        raise ToolError(f"{args[0]} is not installed") from None
    except OSError as error:
        raise ToolError(f"{args[0]} can't be started: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise ToolError(f"{Path(args[0]).name} did not end within {timeout:.0f} s") from None
    return Completed(code=result.returncode, stdout=redact(result.stdout), stderr=redact(result.stderr))
