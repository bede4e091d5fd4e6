"""Reads files of a git revision."""

from __future__ import annotations

import os
import tarfile
import tempfile
from pathlib import Path

from metalock.adapters.proc import run
from metalock.errors import UsageError


def read_revision(root: Path, revision: str, folder: str, name: str) -> dict[str, str]:
    """Return the text of each file called `name` below `folder` in a revision, by its path there.

    Returns nothing if that revision has no such folder. Raises `UsageError` for an unknown revision.
    """
    with tempfile.TemporaryDirectory(prefix="metalock-") as temporary:
        archive = Path(temporary) / "files.tar"
        commit = f"{revision}^{{commit}}"
        known = run(
            ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", commit], env=os.environ, cwd=root
        )
        if known.code:
            raise UsageError(f"git knows no revision {revision!r} in {root}")
        args = ["git", "archive", "--format=tar", f"--output={archive}", known.stdout.strip(), "--", folder]
        if run(args, env=os.environ, cwd=root).code:
            return {}
        texts = {}
        with tarfile.open(archive) as tar:
            for member in tar:
                file = tar.extractfile(member) if member.isfile() and Path(member.name).name == name else None
                if file is not None:
                    texts[Path(member.name).relative_to(folder).as_posix()] = file.read().decode(
                        errors="replace"
                    )
        return texts
