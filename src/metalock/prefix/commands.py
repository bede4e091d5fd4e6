"""What `metalock build` does: choose a lock and a place, build or check, show."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from metalock.adapters.console import out, say
from metalock.adapters.settings import read_settings
from metalock.adapters.uv_install import machine
from metalock.errors import UsageError
from metalock.findings import Finding
from metalock.lock.model import Lock
from metalock.lock.text import lock_digest
from metalock.matrix.expand import require_available, select
from metalock.platforms import Platform, platform_of
from metalock.prefix.build import build, stretch
from metalock.prefix.check import check_prefix, closest
from metalock.prefix.model import Backend, BuildRequest
from metalock.prefix.read import python_of, read_prefix
from metalock.progress import Reporter
from metalock.workspace import Standing, Workspace

PREFIXES = ".envs"
"""The folder beside the matrix where environments are built."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """An environment's lock, and what the matrix adds to it."""

    env: str
    lock: Lock
    variables: Mapping[str, str]


def this_platform(wanted: Platform | None, host: tuple[str, str] | None = None) -> Platform:
    """Raise `UsageError` if it isn't this machine's, or there are no locks for this machine."""
    system, architecture = host or machine()
    own = platform_of(system, architecture)
    if own is None:
        known = ", ".join(Platform)
        raise UsageError(f"no environment can be built on {system} {architecture}: locks are for {known}")
    if wanted not in (None, own):
        raise UsageError(
            f"a lock for {wanted} can't be built here: this machine is {own}",
            hint=f"`metalock audit --platform {wanted}` tells from the wheels whether it can load.",
        )
    return own


def choose(workspace: Workspace, env: str, platform: Platform) -> Chosen:
    """The lock of an environment; raise `UsageError` if it has none."""
    (cell,) = require_available(select(workspace.cells(), platforms=(platform,), envs=(env,)))
    state = workspace.state(cell)
    if state.lock is None:
        raise UsageError(
            f"{cell.name}: {state.reason}",
            hint=f"`metalock env --platform {platform} --env {env}` locks it.",
        )
    if state.standing is not Standing.CURRENT:
        say(f"{cell.name}: {state.reason}; its lock is taken as it is")
    return Chosen(env=env, lock=state.lock, variables=cell.variables)


def default_prefix(workspace: Workspace, env: str, platform: Platform) -> Path:
    """Beside the matrix, out of git's sight."""
    return workspace.root / PREFIXES / platform / env


def build_env(request: BuildRequest, reporter: Reporter, *, as_json: bool) -> int:
    """Build and say what came of it."""
    built = build(request, read_settings(), reporter)
    if as_json:
        row = _row(request.env, request.lock, built.prefix, built.backend, built.interpreter)
        out(json.dumps({**row, "seconds": round(built.seconds, 2), "up_to_date": not built.is_new}, indent=2))
        return 0
    done = f"built in {built.seconds:.1f} s" if built.is_new else "up to date"
    out(f"{request.lock.platform}/{request.env} {done}: {built.prefix}")
    out(_of_what(built.backend, built.interpreter, request.lock))
    activate = "conda activate" if built.backend is Backend.CONDA else "source"
    say(f"next: {activate} {built.prefix}{'' if built.backend is Backend.CONDA else '/bin/activate'}")
    return 0


def check_env(prefix: Path, chosen: Chosen, reporter: Reporter, *, as_json: bool) -> int:
    """Hold an environment against its lock; 1 if it differs."""
    found = read_prefix(prefix)
    with stretch(reporter, f"checking {prefix}", is_told=False):
        findings = check_prefix(chosen.lock, prefix)
    if as_json:
        row = _row(chosen.env, chosen.lock, prefix, found.backend, found.python)
        out(json.dumps({**row, "findings": [finding.to_dict() for finding in findings]}, indent=2))
    else:
        _say_findings(findings)
        say(f"{prefix} {'is not' if findings else 'is'} {chosen.lock.platform}/{chosen.env} as locked")
        say(_of_what(found.backend, found.python, chosen.lock))
    return 1 if findings else 0


def _say_findings(findings: Sequence[Finding]) -> None:
    for finding in findings:
        out(finding.to_text())


def choose_for(workspace: Workspace, prefix: Path, platform: Platform) -> Chosen:
    """The lock of the folder's name, else the one with the fewest differences; says which."""
    found = read_prefix(prefix)
    locks = {env: lock for env, lock in workspace.locks() if lock.platform is platform}
    if prefix.name in locks:
        say(f"checked against {platform}/{prefix.name}, which the folder is named after")
        return Chosen(env=prefix.name, lock=locks[prefix.name], variables={})
    nearest = closest(locks.items(), found)
    if nearest is None:
        raise UsageError(f"there is no lock for {platform}", hint="`metalock env` makes them.")
    say(f"checked against {platform}/{nearest[0]}, the closest lock; ENV names another")
    return Chosen(env=nearest[0], lock=nearest[1], variables={})


def _row(env: str, lock: Lock, prefix: Path, backend: Backend, interpreter: str | None) -> dict[str, object]:
    return {
        "env": env,
        "platform": str(lock.platform),
        "lock": lock_digest(lock),
        "backend": str(backend),
        "prefix": str(prefix),
        "python": str(python_of(prefix)),
        "interpreter": interpreter,
    }


def _of_what(backend: Backend, interpreter: str | None, lock: Lock) -> str:
    if backend is Backend.CONDA:
        return f"backend conda: {len(lock.conda)} conda packages, {len(lock.pip)} wheels"
    other = "" if interpreter == lock.python else f"; the lock has {lock.python}"
    return f"backend venv: the pip part alone, on Python {interpreter}{other}"
