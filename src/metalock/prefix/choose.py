"""Which lock a build or a check is about, on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from metalock.adapters.uv_install import machine
from metalock.errors import UsageError
from metalock.lock.model import Lock, lock_digest
from metalock.matrix.expand import require_available, select
from metalock.platforms import Platform, platform_of
from metalock.prefix.check import closest
from metalock.prefix.model import Backend
from metalock.prefix.read import python_of, read_prefix
from metalock.workspace import Standing, Workspace

PREFIXES = ".envs"
"""The folder next to the matrix where environments are built."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """An environment's lock, and what the matrix adds to it."""

    env: str
    lock: Lock
    variables: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    """What a user has to know about the choice."""


def this_platform(wanted: Platform | None, host: tuple[str, str] | None = None) -> Platform:
    """Return this machine's platform; `host` is its system and architecture.

    Raises `UsageError` if another one is wanted, or there are no locks for this machine.
    """
    system, architecture = host or machine()
    own = platform_of(system, architecture)
    if own is None:
        known = ", ".join(Platform)
        raise UsageError(f"no environment can be built on {system} {architecture}: locks are for {known}")
    if wanted not in (None, own):
        raise UsageError(
            f"a lock for {wanted} cannot be built here: this machine is {own}",
            hint=f"Run `metalock audit --platform {wanted}` to check from the wheels whether it can load.",
        )
    return own


def choose(workspace: Workspace, env: str, platform: Platform) -> Chosen:
    """Return the lock of an environment; raise `UsageError` if it has none."""
    (cell,) = require_available(select(workspace.cells(), platforms=(platform,), envs=(env,)))
    state = workspace.state(cell)
    if state.lock is None:
        raise UsageError(
            f"{cell.name}: {state.reason}",
            hint=f"Run `metalock env --platform {platform} --env {env}` to lock it.",
        )
    is_current = state.standing is Standing.CURRENT
    note = "" if is_current else f"{cell.name}: {state.reason}; its lock is used as it is"
    return Chosen(env=env, lock=state.lock, variables=cell.variables, note=note)


def choose_for(workspace: Workspace, prefix: Path, platform: Platform) -> Chosen:
    """Return the lock that the folder is named after, or else the one with the fewest differences."""
    found = read_prefix(prefix)
    locks = {env: lock for env, lock in workspace.locks() if lock.platform is platform}
    if prefix.name in locks:
        note = f"compared with {platform}/{prefix.name}, which the folder is named after"
        return Chosen(env=prefix.name, lock=locks[prefix.name], note=note)
    nearest = closest(locks.items(), found)
    if nearest is None:
        raise UsageError(f"there is no lock for {platform}", hint="Run `metalock env` to make the locks.")
    env, lock = nearest
    note = f"compared with {platform}/{env}, the closest lock; give ENV to compare with another"
    return Chosen(env=env, lock=lock, note=note)


def default_prefix(workspace: Workspace, env: str, platform: Platform) -> Path:
    """Return the folder where an environment is built if no other is named; git ignores it."""
    return workspace.root / PREFIXES / platform / env


def to_json(
    env: str, lock: Lock, prefix: Path, backend: Backend, interpreter: str | None
) -> dict[str, object]:
    """Return an environment and its lock as JSON values."""
    return {
        "env": env,
        "platform": str(lock.platform),
        "lock": lock_digest(lock),
        "backend": str(backend),
        "prefix": str(prefix),
        "python": str(python_of(prefix)),
        "interpreter": interpreter,
    }


def backend_words(backend: Backend, interpreter: str | None, lock: Lock) -> str:
    """Return what an environment consists of: `backend conda: 25 conda packages, 40 wheels`."""
    if backend is Backend.CONDA:
        return f"backend conda: {len(lock.conda)} conda packages, {len(lock.pip)} wheels"
    other = "" if interpreter == lock.python else f"; the lock has {lock.python}"
    return f"backend venv: the pip part alone, on Python {interpreter}{other}"
