"""Solve a cell: a conda part shared by equal requests, and a pip part on top of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from threading import Lock as Mutex
from typing import ClassVar, Protocol

from packaging.utils import canonicalize_name

from metalock.adapters.conda import ChannelSolver, CondaRequest, RecordSolver
from metalock.adapters.http import Client
from metalock.adapters.settings import Settings, read_settings
from metalock.adapters.uv import PipRequest, PipResolver, ResolvedWheel, wheel_size
from metalock.errors import FetchError, MetalockError, ToolError, UnsolvableError
from metalock.lock.model import CondaPackage, Lock, PipPackage, Upgrade, cell_inputs
from metalock.matrix.model import Cell
from metalock.progress import Reporter
from metalock.workspace import CellState, Standing, Workspace


class CondaSolver(Protocol):
    """Solves a conda part, from channels or from known records."""

    is_offline: ClassVar[bool]

    def solve(self, request: CondaRequest, locked: Sequence[CondaPackage]) -> tuple[CondaPackage, ...]: ...


def conda_request(cell: Cell) -> CondaRequest:
    """Return the conda part of a cell as a request that other cells may share."""
    return CondaRequest(
        platform=cell.platform,
        floor=cell.floor,
        channels=cell.channels,
        exclude_newer=cell.exclude_newer,
        specs=tuple(
            sorted([f"python {cell.python}.*", *(f"{n} {s}".rstrip(" *") for n, s in cell.conda.items())])
        ),
    )


class Locker:
    """Solves cells; safe to use from several threads."""

    def __init__(
        self,
        conda: Callable[[], CondaSolver],
        pip: PipResolver,
        upgrade: Upgrade,
        client: Client | None = None,
    ) -> None:
        self._open_conda = conda
        self._pip = pip
        self._upgrade = upgrade
        self._solver: CondaSolver | None = None
        self._mutex = Mutex()
        self._parts: dict[tuple[CondaRequest, tuple[str, ...]], tuple[CondaPackage, ...] | MetalockError] = {}
        self._sizes: dict[str, int] = {}
        self._first: dict[CondaRequest, tuple[CondaPackage, ...]] = {}
        self._published: dict[str, str] = {}
        self._broken: ToolError | None = None
        self._client = client or Client()

    def learn(self, state: CellState) -> None:
        """Take what a cell's lock knows; to be called for every cell, in the order of the matrix."""
        if state.lock is None:
            return
        self._published |= {
            file: sha256 for name, file, sha256 in _files(state.lock) if not self._upgrade.frees(name)
        }
        self._sizes |= {package.sha256: package.size for package in state.lock.pip}
        request, part = conda_request(state.cell), state.lock.conda
        self._first.setdefault(request, part)
        if state.standing in (Standing.CURRENT, Standing.EDITED):
            self._parts[request, _hashes(part)] = part

    def lock(self, state: CellState) -> Lock:
        """Return a lock for the cell, near to its present one. Raises `UnsolvableError` or `ToolError`."""
        cell, old = state.cell, state.lock
        conda = self._conda_part(cell, old)
        python = next(package.version for package in conda if package.name == "python")
        in_conda: dict[str, str] = {canonicalize_name(p.name): p.version for p in conda if p.needs_python}
        kept = {name: version for name, version in in_conda.items() if name in cell.from_conda}
        held = {p.name: p.version for p in old.pip if not self._upgrade.frees(p.name)} if old else {}
        request = PipRequest(
            platform=cell.platform,
            floor=cell.floor,
            python=python,
            exclude_newer=cell.exclude_newer,
            requirements=cell.pip,
            constraints=_with_exact(cell.constraints, kept),
        )
        wheels = [wheel for wheel in self._wheels(request, held) if wheel.name not in kept]
        for wheel in wheels:
            if wheel.name in in_conda:
                raise _both_install(wheel.name, wheel.version, in_conda[wheel.name])
        lock = Lock(
            platform=cell.platform,
            python=python,
            floor=cell.floor,
            inputs=cell_inputs(cell),
            conda=conda,
            pip=tuple(self._with_size(wheel) for wheel in wheels),
        )
        for name, file, sha256 in _files(lock):
            if self._published.get(file, sha256) != sha256:
                raise _replaced(name, file, self._published[file], sha256)
        return lock

    def _with_size(self, wheel: ResolvedWheel) -> PipPackage:
        size = self._sizes.get(wheel.sha256)
        if size is None:
            size = self._sizes[wheel.sha256] = wheel_size(wheel, self._client)
        return PipPackage(
            name=wheel.name, version=wheel.version, file=wheel.file, sha256=wheel.sha256, size=size
        )

    def _conda_part(self, cell: Cell, old: Lock | None) -> tuple[CondaPackage, ...]:
        """Return the conda part that is nearest to the cell's own lock.

        A cell without a lock starts from the lock of the first cell of the matrix that asks for the same.
        That cell has the same part before and after it is locked again: the order of runs changes nothing.
        """
        request = conda_request(cell)
        start = old.conda if old else self._first.get(request, ())
        held = [package for package in start if not self._upgrade.frees(package.name)]
        key = (request, _hashes(held))
        with self._mutex:
            part = self._parts.get(key)
            if part is None:
                part = self._parts[key] = self._broken or self._solve(request, held)
        if isinstance(part, MetalockError):
            raise part
        return part

    def _solve(
        self, request: CondaRequest, held: Sequence[CondaPackage]
    ) -> tuple[CondaPackage, ...] | MetalockError:
        """Return the conda part, or the error; once a server has failed, it is not asked again."""
        try:
            return self._conda().solve(request, held)
        except ToolError as error:
            self._broken = error
            return error
        except MetalockError as error:
            return error

    def _conda(self) -> CondaSolver:
        """Return the solver, which is opened when first needed; the caller holds the mutex."""
        if self._solver is None:
            self._solver = self._open_conda()
        return self._solver

    def _wheels(self, request: PipRequest, held: Mapping[str, str]) -> tuple[ResolvedWheel, ...]:
        """Resolve with the index; if that fails, and the channel is not used either, with uv's cache.

        Raises the error of the index if the cache does not have the packages.
        """
        try:
            return self._pip.resolve(request, held)
        except FetchError as error:
            with self._mutex:
                offline = self._conda().is_offline
            if not offline:
                raise
            try:
                return self._pip.resolve(request, held, from_cache=True)
            except FetchError:
                text = f"{error}\n  uv's cache does not have all of the packages either"
                raise FetchError(text, hint=error.hint) from None


def _hashes(packages: Iterable[CondaPackage]) -> tuple[str, ...]:
    return tuple(package.sha256 for package in packages)


def _with_exact(constraints: Mapping[str, str], versions: Mapping[str, str]) -> dict[str, str]:
    """Return the constraints, with each package of `versions` fixed to that version."""
    exact = {name: f"=={version}" for name, version in versions.items()}
    return {
        name: ",".join(filter(None, (constraints.get(name), exact.get(name))))
        for name in sorted({*constraints, *exact})
    }


def _files(lock: Lock) -> Iterator[tuple[str, str, str]]:
    """Yield name, file and sha256 of each package."""
    yield from ((p.name, p.url, p.sha256) for p in lock.conda)
    yield from ((p.name, p.file, p.sha256) for p in lock.pip)


def _replaced(name: str, file: str, locked: str, offered: str) -> FetchError:
    """Return the error for a published file that changed, which must not happen."""
    return FetchError(
        f"{file} is locked with sha256 {locked}, and the server now says {offered}",
        hint=f"If the new file is right, run `metalock env --upgrade {name}`.",
    )


def _both_install(name: str, pip_version: str, conda_version: str) -> UnsolvableError:
    return UnsolvableError(
        f"conda installs {name} {conda_version} and pip would install {name} {pip_version} over it",
        hint=f'Decide in matrix.toml: add "{name}" to packages.from-conda to keep conda\'s copy.',
    )


def open_conda_solver(
    workspace: Workspace, settings: Settings, *, offline: bool, reporter: Reporter
) -> CondaSolver:
    """Return a solver for the channels; offline, or if they do not answer, one for the records in locks.

    Raises `FetchError` if the channels do not answer and no lock has records.
    """
    solver = ChannelSolver(settings, settings.cache / "repodata", reporter)
    known = [package for _, lock in workspace.locks() for package in lock.conda]
    if not offline:
        channel = solver.unreachable(workspace.matrix.channels)
        if channel is None:
            return solver
        if not known:
            raise FetchError(
                f"conda channel {channel} cannot be reached, and no lock in envs/ has records to solve from",
                hint="Check the network, CONDA_CHANNEL_ALIAS and .condarc, and run the command again.",
            )
        reporter.note(
            f"conda channel {channel} cannot be reached: solving as with --offline, "
            "from the records that the locks in envs/ hold"
        )
    return RecordSolver(settings, known)


def make_locker(
    workspace: Workspace,
    *,
    upgrade: Upgrade,
    offline: bool,
    reporter: Reporter,
    settings: Settings | None = None,
) -> Locker:
    """Return a locker with this machine's settings; the channel is first asked when it is needed."""
    settings = settings or read_settings()
    return Locker(
        lambda: open_conda_solver(workspace, settings, offline=offline, reporter=reporter),
        PipResolver(settings.index_url, reporter),
        upgrade,
        Client(reporter),
    )
