"""Reads files of a git revision."""

from __future__ import annotations

import os
import tarfile
import tempfile
from pathlib import Path

from metalock.adapters.proc import run
from metalock.adapters.reading import DATA
from metalock.errors import ToolError, UsageError
from metalock.parsing import without_crlf


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
            raise UsageError(
                f"git has no revision {revision!r} in {root.absolute()}",
                hint="Name a commit, branch or tag of the git repository that holds the matrix.",
            )
        args = ["git", "archive", "--format=tar", f"--output={archive}", known.stdout.strip(), "--", folder]
        if run(args, env=os.environ, cwd=root).code:
            return {}
        try:
            return _texts(archive, folder, name)
        except (tarfile.TarError, OSError, ValueError) as error:
            raise ToolError(f"git archive {revision}: {error}") from None


def _texts(archive: Path, folder: str, name: str) -> dict[str, str]:
    texts = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            path = Path(member.name)
            if not member.isfile() or path.name != name or member.size > DATA:
                continue
            file = tar.extractfile(member)
            if file is not None:
                data = file.read().decode(errors="replace")
                texts[path.relative_to(folder).as_posix()] = without_crlf(data)
    return texts
