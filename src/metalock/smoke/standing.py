"""What is already known of an environment, from the evidence beside its lock."""

from __future__ import annotations

from metalock.lock.model import Lock
from metalock.lock.text import lock_digest
from metalock.matrix.model import Cell
from metalock.smoke.evidence import SMOKE_FILE, Evidence, parse_evidence
from metalock.workspace import Workspace


def read_evidence(workspace: Workspace, cell: Cell, lock: Lock) -> Evidence | None:
    """The evidence beside the lock, unless it is about another lock."""
    path = workspace.folder(cell) / SMOKE_FILE
    evidence = parse_evidence(path.read_bytes()) if path.is_file() else None
    return evidence if evidence is not None and evidence.lock == lock_digest(lock) else None
