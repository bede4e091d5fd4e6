"""Compiling TensorFlow's bytecode, once per run and in two processes, since that takes long."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from metalock.adapters.proc import started
from metalock.smoke.process import POLL_SECONDS, ProcessSetup


def pycache_of(scratch: Path) -> Path:
    """Return the folder for the bytecode of a run, since none may be written into the prefix."""
    return scratch / "pycache"


def compile_ahead(setup: ProcessSetup, unneeded: Callable[[], bool]) -> None:
    """Compile what the first process is about to import, until it is `unneeded`.

    A failure costs only time. Raises `ToolError` if the interpreter cannot start.
    """
    command = [setup.python, setup.driver.with_name("compile_ahead.py")]
    log = setup.scratch / "compile-ahead.log"
    with started(command, env=setup.environment, cwd=setup.scratch, log=log) as child:
        while child.code(POLL_SECONDS) is None and not unneeded():
            pass


def share_bytecode(prefix: Path, other: Path, pycache: Path) -> None:
    """Link the bytecode compiled for one prefix into the cache of another, for files that are the same.

    Python compares each source's time and size, and writes a changed one to a new file, so the links do
    no harm. Processes may be compiling at the same time: files that they have not finished are left out.
    """
    compiled = pycache / prefix.absolute().relative_to("/")
    if compiled.is_dir():
        target = pycache / other.relative_to("/")
        shutil.copytree(
            compiled,
            target,
            ignore=shutil.ignore_patterns("*.pyc.*"),
            copy_function=_link_if_there,
            dirs_exist_ok=True,
        )


def _link_if_there(source: str, target: str) -> None:
    with suppress(FileNotFoundError, FileExistsError):
        os.link(source, target)
