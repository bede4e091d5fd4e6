"""What changed between two states of `envs/`, as Markdown that a pull request is reviewed by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from metalock.adapters.git import read_revision
from metalock.adapters.reading import read_evidence_file
from metalock.audit.result import AUDIT_FILE, audited_digest, parse_audit, require_all_wheels
from metalock.evidence.model import SMOKE_FILE, counts_of
from metalock.evidence.text import parse_evidence
from metalock.lock.model import Lock, lock_digest
from metalock.lock.text import LockTextError, parse_lock
from metalock.markdown import text
from metalock.untrusted import InvalidFileError
from metalock.workspace import LOCK_FILE, Workspace

SHOWN = 3
"""Environments that a line names before it counts the rest."""
Versions = Mapping[tuple[str, str], str]
Recorded = Mapping[tuple[str, str], str]
"""By environment and file name: what a file of evidence holds."""


def locks_at(workspace: Workspace, revision: str) -> dict[str, Lock]:
    """Return the valid locks of a git revision, by `<platform>/<env>`."""
    locks = {}
    for path, content in read_revision(workspace.root, revision, "envs", LOCK_FILE).items():
        try:
            locks[path.removesuffix(f"/{LOCK_FILE}")] = parse_lock(content)
        except LockTextError:
            continue
    return locks


def evidence_at(workspace: Workspace, revision: str) -> dict[tuple[str, str], str]:
    """Return the evidence of a git revision."""
    return {
        (path.removesuffix(f"/{file}"), file): content
        for file in (AUDIT_FILE, SMOKE_FILE)
        for path, content in read_revision(workspace.root, revision, "envs", file).items()
    }


def evidence_now(workspace: Workspace) -> dict[tuple[str, str], str]:
    """Return the evidence in the workspace."""
    found = {}
    for file in (AUDIT_FILE, SMOKE_FILE):
        for path in sorted(workspace.envs.glob(f"*/*/{file}")):
            try:
                content = (read_evidence_file(path) or b"").decode(errors="replace")
            except InvalidFileError as error:
                content = str(error)
            found[path.parent.relative_to(workspace.envs).as_posix(), file] = content
    return found


def evidence_lines(old: Recorded, new: Recorded, locks: Mapping[str, Lock]) -> Iterator[str]:
    """Yield Markdown list items for evidence that was added, changed or removed; `locks` are those now."""
    for env, file in sorted(old.keys() | new.keys()):
        before, after = old.get((env, file)), new.get((env, file))
        if after is None:
            yield f"- evidence removed: {text(f'{env}/{file}')}"
        elif before != after:
            word = "added" if before is None else "changed"
            yield f"- evidence {word}: {text(f'{env}/{file}: {_summary(file, after, locks.get(env))}')}"


def _summary(file: str, content: str, lock: Lock | None) -> str:
    if lock is None:
        return "there is no valid lock that it could be about"
    try:
        return _of_run(content, lock) if file == SMOKE_FILE else _of_audit(content, lock)
    except InvalidFileError as error:
        return f"not valid: {error}"


def _of_run(content: str, lock: Lock) -> str:
    """Return the machine, the day and the number of each outcome by the present contract."""
    evidence = parse_evidence(content.encode(), lock.platform)
    counts = ", ".join(f"{count} {outcome}" for outcome, count in counts_of(evidence.results(lock)).items())
    stale = "" if evidence.lock == lock_digest(lock) else "; about another lock"
    return (
        f"{evidence.machine} ({evidence.backend}), {evidence.date}: {counts or 'no known capability'}{stale}"
    )


def _of_audit(content: str, lock: Lock) -> str:
    audit = parse_audit(content.encode())
    if audit.lock != audited_digest(lock):
        return f"{audit.verdict}; about another lock"
    require_all_wheels(audit, lock)
    warnings = sum(finding.rule.is_warning for finding in audit.findings)
    errors = len(audit.findings) - warnings
    counts = f"{audit.wheels} wheels, {audit.binaries} binaries, {errors} errors, {warnings} warnings"
    return f"{audit.verdict}, {counts}"


def diff_lines(old: Mapping[str, Lock], new: Mapping[str, Lock]) -> Iterator[str]:
    """Yield Markdown list items: environments added and removed, then each change of a package."""
    for name in sorted(new.keys() - old.keys()):
        yield f"- new: {text(name)}"
    for name in sorted(old.keys() - new.keys()):
        yield f"- gone: {text(name)}"
    common = sorted(name for name in old.keys() & new.keys() if old[name] != new[name])
    changes: dict[str, list[str]] = {}
    for name in common:
        for change in _changes(_versions(old[name]), _versions(new[name])):
            changes.setdefault(change, []).append(name)
    for change, names in sorted(changes.items()):
        shown = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
        of = len(old.keys() & new.keys())
        yield f"- {text(f'{change} in {len(names)} of {of} environments: {shown}')}"


def _versions(lock: Lock) -> dict[tuple[str, str], str]:
    """Return versions by manager and name; those of conda packages with the build."""
    conda = {("conda", p.name): f"{p.version}={p.build}" for p in lock.conda}
    return conda | {("pip", p.name): p.version for p in lock.pip}


def _changes(old: Versions, new: Versions) -> Iterator[str]:
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if before != after:
            manager, name = key
            yield f"{name} ({manager}) {before or 'absent'} → {after or 'absent'}"
