"""TensorFlow's bytecode, which takes longer to compile than most capabilities to try: once a run, by two."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from metalock.adapters.proc import started
from metalock.smoke.process import POLL_SECONDS, ProcessSetup


def pycache_of(scratch: Path) -> Path:
    """Where the bytecode of a run goes, since none may be written into the prefix."""
    return scratch / "pycache"


def compile_ahead(place: ProcessSetup, unneeded: Callable[[], bool]) -> None:
    """Compile what the first process is about to import, until it is `unneeded`.

    Whether it succeeds makes no difference but in time. Raises `ToolError` if the interpreter can't start.
    """
    command = [place.python, place.driver.with_name("compile_ahead.py")]
    log = place.scratch / "compile-ahead.log"
    with started(command, env=place.environment, cwd=place.scratch, log=log) as child:
        while child.code(POLL_SECONDS) is None and not unneeded():
            pass


def share_bytecode(prefix: Path, other: Path, pycache: Path) -> None:
    """What was compiled for the one serves the other, as far as their files are the same.

    Python compares each source's time and size, and writes anew into another file, so that the links do
    no harm. Processes may be compiling meanwhile: what they haven't finished is left out.
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
