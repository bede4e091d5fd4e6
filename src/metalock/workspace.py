"""A folder with a `matrix.toml` and its locks: which of them are up to date."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from pathlib import Path

from metalock.adapters.reading import DATA, SETTINGS, read_bytes, read_if_there, read_text
from metalock.errors import UnreadableFileError, UsageError
from metalock.lock.model import Lock, cell_inputs
from metalock.lock.text import LockTextError, parse_lock
from metalock.matrix.expand import expand
from metalock.matrix.model import Cell, Matrix
from metalock.matrix.parse import parse_matrix
from metalock.parsing import plain_text
from metalock.platforms import Platform
from metalock.records import RecordError, parse_table
from metalock.render import RENDERED, TEMPLATE_SUFFIX, Renderer, make_renderer

LOCK_FILE = "lock.json"
RECORDS_FILE = "records.json"
RECORDS_FIX = "Restore it from git, or remove it and run `metalock audit --again`."


class Standing(StrEnum):
    """Whether the files of a cell agree with the matrix and with each other."""

    CURRENT = "current"
    MISSING = "missing"
    STALE = "stale"
    """The matrix has changed since the lock was solved."""
    EDITED = "edited"
    """The lock is up to date, but a file next to it is not what the lock and the template give."""
    BROKEN = "broken"
    """The lock itself was changed by hand or by a merge, or can't be read."""
    ORPHAN = "orphan"
    """The matrix has no such environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellState:
    """A cell, and the state of its folder."""

    cell: Cell
    standing: Standing
    reason: str = ""
    lock: Lock | None = None
    """The lock in the folder, if it is valid; a stale one is used for preferences only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """The folder that commands work on."""

    matrix_file: Path
    matrix: Matrix
    render: Renderer

    @property
    def root(self) -> Path:
        return self.matrix_file.parent

    @property
    def envs(self) -> Path:
        """The folder of the environments: `envs/<platform>/<env>/`."""
        return self.root / "envs"

    def folder(self, cell: Cell) -> Path:
        """Return the folder of a cell's lock."""
        return self.envs / cell.platform / cell.env

    def cells(self) -> Iterator[Cell]:
        """Return the cells of the matrix, unavailable ones included."""
        return expand(self.matrix)

    def state(self, cell: Cell) -> CellState:
        """Read the cell's files, without a server or a solver."""
        folder = self.folder(cell)
        try:
            data = read_if_there(folder / LOCK_FILE)
            if data is None:
                return CellState(cell=cell, standing=Standing.MISSING, reason="not locked yet")
            text = plain_text(data)
            lock = parse_lock(text)
        except (LockTextError, UnreadableFileError, UnicodeDecodeError) as error:
            return CellState(cell=cell, standing=Standing.BROKEN, reason=f"{LOCK_FILE}: {error}")
        if lock.inputs != cell_inputs(cell):
            return CellState(
                cell=cell,
                standing=Standing.STALE,
                reason="the matrix has changed since it was locked",
                lock=lock,
            )
        for name, rendered in self.render(cell, lock).items():
            if not holds(folder / name, rendered):
                reason = f"{name} is not what the lock and the template give"
                return CellState(cell=cell, standing=Standing.EDITED, reason=reason, lock=lock)
        return CellState(cell=cell, standing=Standing.CURRENT, lock=lock)

    def current_cells(self) -> Iterator[Cell]:
        """Return the cells whose lock and files are up to date."""
        for cell in self.cells():
            if cell.unavailable is None and self.state(cell).standing is Standing.CURRENT:
                yield cell

    def locks(self) -> Iterator[tuple[str, Lock]]:
        """Return every valid lock below `envs/` with its folder's name, those of no cell included."""
        for path in sorted(self.envs.glob(f"*/*/{LOCK_FILE}")):
            try:
                yield path.parent.name, parse_lock(read_text(path, DATA))
            except (LockTextError, UnreadableFileError):
                continue

    @property
    def records_file(self) -> Path:
        """The table of the digests of the RECORDs in locked wheels."""
        return self.envs / RECORDS_FILE

    def records(self) -> dict[str, str]:
        """Return that table, empty if there is no file; raise `UsageError` if it cannot be read."""
        if not self.records_file.exists():
            return {}
        try:
            return parse_table(read_text(self.records_file))
        except RecordError as error:
            raise UsageError(
                f"{self.records_file} cannot be read: {error}",
                hint=RECORDS_FIX,
            ) from None

    def orphans(self, platforms: Iterable[Platform]) -> list[Path]:
        """Return the folders with a lock that are not those of an available cell of the matrix.

        A folder is known by its place on the disk: a link to one, or on some file systems another
        spelling of its name, is the same folder.
        """
        expected = {self.folder(cell) for cell in self.cells() if cell.unavailable is None}
        found = [
            path.parent
            for platform in platforms
            for path in sorted((self.envs / platform).glob(f"[!.]*/{LOCK_FILE}"))
            if path.parent not in expected
        ]
        if not found:
            return []
        known = {_place(folder) for folder in expected if folder.exists()}
        return [folder for folder in found if _place(folder) not in known]


def _place(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def holds(path: Path, text: str) -> bool:
    """Return whether the file holds that text; its lines may end with CRLF, as git can write them."""
    try:
        return read_bytes(path).replace(b"\r\n", b"\n") == text.encode()
    except UnreadableFileError:
        return False


def open_workspace(matrix_file: Path) -> Workspace:
    """Read the matrix, and the templates next to it; metalock has its own for those that are missing.

    Raises `UsageError` for a missing file, `MatrixError` for a faulty one.
    """
    try:
        text = read_text(matrix_file, SETTINGS)
    except UnreadableFileError as error:
        hint = "Run `metalock init` in an empty folder to write one, or name another file with --matrix."
        raise UsageError(str(error), hint=hint if error.is_missing else None) from None
    matrix = parse_matrix(text, matrix_file.name)
    return Workspace(
        matrix_file=matrix_file,
        matrix=matrix,
        render=make_renderer(_read_templates(matrix_file.parent / "templates")),
    )


def _read_templates(folder: Path) -> dict[str, str]:
    if os.path.lexists(folder) and not folder.is_dir():
        raise UsageError(
            f"{folder} is not a folder, nor a symbolic link to one",
            hint="If git wrote the link as a text file: run `git config core.symlinks true`, then "
            "`git checkout -- templates`. Without support for links, replace it with a folder of templates.",
        )
    own = resources.files("metalock") / "templates"
    templates = {}
    for name in RENDERED:
        path = folder / f"{name}{TEMPLATE_SUFFIX}"
        try:
            templates[name] = read_text(path, SETTINGS)
        except UnreadableFileError as error:
            if not error.is_missing:
                raise
            templates[name] = (own / path.name).read_text(encoding="utf-8")
    return templates
