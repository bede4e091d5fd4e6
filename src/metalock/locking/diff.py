"""What changed between two sets of locks, in words that a pull request is read by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from metalock.adapters.git import read_revision
from metalock.lock.model import Lock
from metalock.lock.text import LockTextError, parse_lock
from metalock.workspace import LOCK_FILE, Workspace

SHOWN = 3
"""Environments that a line names before it counts the rest."""
Versions = Mapping[tuple[str, str], str]


def locks_at(workspace: Workspace, revision: str) -> dict[str, Lock]:
    """The sound locks of a git revision, by `<platform>/<env>`."""
    locks = {}
    for path, text in read_revision(workspace.root, revision, "envs", LOCK_FILE).items():
        try:
            locks[path.removesuffix(f"/{LOCK_FILE}")] = parse_lock(text)
        except LockTextError:
            continue
    return locks


def diff_lines(old: Mapping[str, Lock], new: Mapping[str, Lock]) -> Iterator[str]:
    """Markdown list items: environments that came and went, then each change of a package with its count."""
    for name in sorted(new.keys() - old.keys()):
        yield f"- new: {name}"
    for name in sorted(old.keys() - new.keys()):
        yield f"- gone: {name}"
    common = sorted(name for name in old.keys() & new.keys() if old[name] != new[name])
    changes: dict[str, list[str]] = {}
    for name in common:
        for change in _changes(_versions(old[name]), _versions(new[name])):
            changes.setdefault(change, []).append(name)
    for change, names in sorted(changes.items()):
        shown = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
        yield f"- {change} in {len(names)} of {len(old.keys() & new.keys())} environments: {shown}"


def _versions(lock: Lock) -> dict[tuple[str, str], str]:
    """Conda packages with their build, wheels with their version: (manager, name) to what is installed."""
    conda = {("conda", p.name): f"{p.version}={p.build}" for p in lock.conda}
    return conda | {("pip", p.name): p.version for p in lock.pip}


def _changes(old: Versions, new: Versions) -> Iterator[str]:
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if before != after:
            manager, name = key
            yield f"{name} ({manager}) {before or 'absent'} → {after or 'absent'}"
