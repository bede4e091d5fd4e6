"""Makes a venv on an interpreter, and installs locked wheels into an environment, with uv."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from metalock.adapters.proc import run
from metalock.adapters.uv import uv_environment, uv_failure, uv_path
from metalock.errors import ToolError, UsageError
from metalock.lock.model import PipPackage
from metalock.parsing import as_list, as_text, parse_json
from metalock.platforms import parse_release

TIMEOUT = 7200
"""Seconds for all the wheels of an environment: a gigabyte, on a slow line."""
_ASK = (
    "import json, platform, sys;"
    "print(json.dumps([sys.implementation.name, platform.python_version(), platform.machine()]))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Python interpreter, as it describes itself."""

    path: Path
    version: str
    machine: str


def machine() -> tuple[str, str]:
    """Return the system and the architecture of this machine."""
    return sys.platform, platform.machine()


def read_interpreter(path: Path) -> Interpreter:
    """Return the interpreter at a path; raise `UsageError` for anything but CPython."""
    hint = "Pass the executable of a CPython to --python, such as /usr/bin/python3.11."
    path = path.absolute()
    if not path.is_file() or not os.access(path, os.X_OK):
        raise UsageError(f"{path} is not a program", hint=hint)
    try:
        answer = run([path, "-I", "-S", "-c", _ASK], env=uv_environment(None), cwd=Path("/"), timeout=60)
        name, version, architecture = map(as_text, as_list(parse_json(answer.stdout)))
        parse_release(version)
    except (ToolError, ValueError):
        raise UsageError(f"{path} is not a Python interpreter", hint=hint) from None
    if name != "cpython":
        raise UsageError(f"{path} is {name}, and locks are made for CPython", hint=hint)
    return Interpreter(path=path, version=version, machine=architecture)


def find_interpreter(minor: str) -> Path | None:
    """Return a CPython of that minor version (`3.11`), as uv finds one: on PATH, or its own."""
    args: list[str | Path] = [uv_path(), "python", "find", f"cpython@{minor}", "--system", "--no-project"]
    result = run([*args, "--no-config"], env=uv_environment(None), cwd=Path("/"), timeout=60)
    return Path(result.stdout.strip()) if result.code == 0 else None


def make_venv(python: Path, prefix: Path, *, prompt: str, keep_open: int) -> None:
    """Make a venv in a folder that may hold a marker already."""
    args: list[str | Path] = [
        uv_path(), "venv", prefix, "--python", python, "--prompt", prompt,
        "--allow-existing", "--no-config", "--no-project", "--quiet",
    ]  # fmt: skip
    result = run(args, env=uv_environment(None), cwd=prefix, keep_open=(keep_open,))
    if result.code:
        raise uv_failure(result, "uv venv", prefix)


def install_wheels(
    wheels: Iterable[PipPackage], python: Path, *, prefix: Path, index_url: str | None, keep_open: int
) -> None:
    """Install exactly these files, linked from uv's cache if possible; nothing is resolved or built.

    Raises `FetchError` for an index that fails, or has another file than was locked.
    """
    lines = [f"{w.name}=={w.version} --hash=sha256:{w.sha256}" for w in wheels]
    if not lines:
        return
    args: list[str | Path] = [
        uv_path(), "pip", "install", "--python", python, "--requirement", "-",
        "--require-hashes", "--no-deps", "--only-binary", ":all:", "--no-config", "--no-sources", "--quiet",
        "--break-system-packages",
    ]  # fmt: skip
    result = run(
        args,
        env=uv_environment(index_url),
        cwd=prefix,
        stdin="\n".join(lines) + "\n",
        timeout=TIMEOUT,
        keep_open=(keep_open,),
    )
    if result.code:
        raise uv_failure(result, "uv pip install", prefix)


def install_on_top(
    requirements: Iterable[str], python: Path, *, prefix: Path, index_url: str | None, exclude_newer: str
) -> None:
    """Install as `pip install --upgrade` does: other packages are changed only if these require it.

    What was installed before may be left with requirements that no longer hold. Raises `FetchError` for an
    index that fails, `UnsolvableError` where no version fits the interpreter.
    """
    wanted = list(requirements)
    upgraded = [part for text in wanted for part in ("--upgrade-package", Requirement(text).name)]
    args: list[str | Path] = [
        uv_path(), "pip", "install", "--python", python, *upgraded,
        "--only-binary", ":all:", "--exclude-newer", exclude_newer,
        "--no-config", "--no-sources", "--quiet", *wanted,
    ]  # fmt: skip
    result = run(args, env=uv_environment(index_url), cwd=prefix, timeout=TIMEOUT)
    if result.code:
        raise uv_failure(result, "uv pip install", prefix)
