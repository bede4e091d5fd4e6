"""Building environments, trying the contract in each, and writing the evidence next to the locks."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from metalock.adapters.building import discard, require_writable
from metalock.adapters.cache import Cache
from metalock.adapters.files import only_one_run
from metalock.adapters.settings import Settings, read_settings
from metalock.adapters.uv_install import find_interpreter, read_interpreter
from metalock.errors import MetalockError, NothingSelectedError, ToolError, UsageError, file_error
from metalock.evidence.model import Evidence, Outcome, counts_of, require_recordable
from metalock.evidence.store import read_evidence, write_evidence
from metalock.lock.model import Lock
from metalock.matrix.model import Cell
from metalock.platforms import minor_of
from metalock.prefix.build import build
from metalock.prefix.check import check_prefix
from metalock.prefix.model import Backend, BuildRequest, Built
from metalock.prefix.seeds import recall
from metalock.progress import Reporter
from metalock.smoke.run import run_suite
from metalock.smoke.setup import SmokeRequest
from metalock.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyOptions:
    """How environments are built, and whether they are kept."""

    backend: Backend
    pythons: Mapping[str, Path] = field(default_factory=dict)
    """Interpreters for venvs, by minor version."""
    date: str
    """ISO 8601, the day alone."""
    folder: Path
    """Where environments are built, each in a folder of its name."""
    keep: bool = False
    jobs: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """The result for one environment: evidence, or why there is none."""

    cell: Cell
    lock: Lock
    evidence: Evidence | None = None
    error: MetalockError | None = None
    is_known: bool = False
    """The evidence was there before."""

    @property
    def counts(self) -> dict[Outcome, int]:
        return {} if self.evidence is None else counts_of(self.evidence.results(self.lock))

    @property
    def word(self) -> str:
        """Return the count of each outcome, or the error."""
        if self.error is not None:
            return f"failed: {self.error}"
        return ", ".join(f"{count} {outcome}" for outcome, count in self.counts.items())


def verify_matrix(
    workspace: Workspace, cells: Sequence[Cell], options: VerifyOptions, reporter: Reporter, *, again: bool
) -> Iterator[Verified]:
    """Yield the known evidence of each lock first, then verify the other cells.

    Raises `NothingSelectedError` if a cell is not locked.
    """
    locked = [(cell, lock) for cell in cells if (lock := workspace.state(cell).lock) is not None]
    if len(locked) < len(cells):
        names = sorted({cell.name for cell in cells} - {cell.name for cell, _ in locked})
        raise NothingSelectedError(f"not locked: {', '.join(names)}", hint="Run `metalock env` to lock them.")
    todo = []
    for cell, lock in locked:
        evidence = None if again else read_evidence(workspace, cell, lock)
        if evidence is None:
            todo.append((cell, lock))
            continue
        write_evidence(workspace, cell, lock, evidence)  # the contract may have changed since the run
        yield Verified(cell=cell, lock=lock, evidence=evidence, is_known=True)
    if todo:
        yield from verify_cells(workspace, todo, options, read_settings(), reporter)


def lines_of(verified: Verified) -> Iterator[str]:
    """Yield the outcomes of one environment, or why there are none, and what was unexpected."""
    known = "already has evidence for its lock: " if verified.is_known else ""
    yield f"{verified.cell.name}: {known}{verified.word}"
    if verified.error is not None and verified.error.hint:
        yield f"     {verified.error.hint}"
    if verified.evidence is not None and not verified.is_known:
        for result in verified.evidence.results(verified.lock):
            if result.is_surprise:
                yield f"  {result.observation.name}: {result.surprise}"


def exit_code(done: Sequence[Verified]) -> int:
    """Return 1 if an outcome was unexpected, or else the code of the first environment that failed."""
    if any(Outcome.UNEXPECTED in verified.counts for verified in done):
        return 1
    return next((verified.error.exit_code for verified in done if verified.error is not None), 0)


def interpreters_for(cells: Sequence[Cell], named: Sequence[Path]) -> dict[str, Path]:
    """Return interpreters by minor version: those that were named, else those that uv finds.

    Raises `UsageError` for one that is not CPython.
    """
    if named:
        versions = [read_interpreter(path).version for path in named]
        return {minor_of(version): path.absolute() for version, path in zip(versions, named, strict=True)}
    found = {python: find_interpreter(python) for python in sorted({cell.python for cell in cells})}
    return {python: path for python, path in found.items() if path is not None}


def verify_cells(
    workspace: Workspace,
    cells: Sequence[tuple[Cell, Lock]],
    options: VerifyOptions,
    settings: Settings,
    reporter: Reporter,
) -> Iterator[Verified]:
    """Verify each cell, `jobs` at a time, and write its evidence; a failure does not stop the others."""
    stop = threading.Event()
    run = _Run(workspace=workspace, options=options, settings=settings, stop=stop)
    if len(cells) == 1:
        yield run.verify(*cells[0], reporter)
        return
    reporter.start("environments", len(cells))
    pool = ThreadPoolExecutor(max_workers=options.jobs)
    try:
        futures = [pool.submit(run.verify, cell, lock, _Notes(reporter, cell)) for cell, lock in cells]
        for future in as_completed(futures):
            verified = future.result()
            reporter.advance(verified.cell.name, verified.word)
            yield verified
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)
        reporter.finish()


class _Notes(Reporter):
    """The reporter of one environment among several: notes with its name, and no steps."""

    def __init__(self, reporter: Reporter, cell: Cell) -> None:
        self._reporter = reporter
        self._name = cell.name

    def note(self, text: str) -> None:
        self._reporter.note(f"{self._name}: {text}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    workspace: Workspace
    options: VerifyOptions
    settings: Settings
    stop: threading.Event

    def verify(self, cell: Cell, lock: Lock, reporter: Reporter) -> Verified:
        try:
            evidence = self._evidence(cell, lock, reporter)
            write_evidence(self.workspace, cell, lock, evidence)
        except MetalockError as error:
            return Verified(cell=cell, lock=lock, error=error)
        except OSError as error:
            return Verified(cell=cell, lock=lock, error=file_error(error))
        return Verified(cell=cell, lock=lock, evidence=evidence)

    def _evidence(self, cell: Cell, lock: Lock, reporter: Reporter) -> Evidence:
        if self.stop.is_set():
            raise ToolError("interrupted")
        request = self._request(cell, lock)
        require_writable(request.prefix.parent)
        mine = request.prefix.with_name(f".{request.prefix.name}.verify.lock")
        with only_one_run(mine, reporter.note, self.stop.is_set):
            return self._tried(cell, lock, request, reporter)

    def _tried(self, cell: Cell, lock: Lock, request: BuildRequest, reporter: Reporter) -> Evidence:
        built = build(request, self.settings, reporter)
        try:
            evidence = run_suite(self._trial(cell, lock, built), reporter)
            require_recordable(evidence)
            faults = check_prefix(
                lock,
                built.prefix,
                records=request.records,
                sound=recall(Cache(self.settings.cache)),
            )
            if faults:
                text = "; ".join(finding.to_text() for finding in faults[:3])
                raise ToolError(f"the suite changed the environment: {text}")
        finally:
            if built.is_new and not self.options.keep:
                discard(built.prefix, reporter.note)
        return evidence

    def _request(self, cell: Cell, lock: Lock) -> BuildRequest:
        python = self.options.pythons.get(cell.python)
        if python is None and self.options.backend is Backend.VENV:
            raise UsageError(
                f"no interpreter for Python {cell.python}",
                hint="Name one with --python PATH; the option can be repeated, once for each Python.",
            )
        return BuildRequest(
            lock=lock,
            env=cell.env,
            prefix=(self.options.folder / cell.platform / cell.env).resolve(),
            backend=self.options.backend,
            python=python,
            variables=cell.variables,
            records=self.workspace.records(),
        )

    def _trial(self, cell: Cell, lock: Lock, built: Built) -> SmokeRequest:
        return SmokeRequest(
            cell=cell,
            lock=lock,
            prefix=built.prefix,
            python=built.python,
            backend=built.backend,
            date=self.options.date,
            settings=self.settings,
            interrupted=self.stop.is_set,
            side_by_side=self.options.jobs == 1,
        )
