"""Installed wheels by their RECORD: which files are theirs, what the hashes are, and the RECORD's digest."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from metalock.adapters.reading import DATA, read_bytes, read_text
from metalock.errors import UnreadableFileError
from metalock.prefix.hashing import Stated, to_hex
from metalock.prefix.read import CondaRecord, Distribution
from metalock.records import (
    STRONG,
    Entry,
    RecordError,
    installed_digest,
    is_inside,
    may_lack_hash,
    parse_record,
    prefix_path,
    script_names,
    site_path,
    source_of,
)

_MOST_DIGITS = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A package with the files that its record names."""

    name: str
    version: str = ""
    paths: frozenset[str]
    """All of its files, relative to the environment."""
    stated: tuple[Stated, ...]
    """The files whose content has to be as recorded."""
    faults: tuple[str, ...]
    """A sentence for each entry that cannot be used."""
    digest: str | None = None
    """See `metalock.records`; None for conda packages and unreadable records."""


def read_installed(distribution: Distribution, prefix: Path) -> Installed:
    """Return an installed wheel by its RECORD; what is wrong with the RECORD is in the faults."""
    info = distribution.info
    try:
        entries = parse_record(read_text(info / "RECORD", DATA))
    except (UnreadableFileError, RecordError) as error:
        problem = error.problem if isinstance(error, UnreadableFileError) else error
        detail = (
            f"has a RECORD that cannot be read: {problem}" if _is_there(info / "RECORD") else "has no RECORD"
        )
        return _unreadable(distribution, f"{info.name} {detail}")
    site = info.parent.relative_to(prefix).as_posix()
    placed = [(entry, site_path(entry.path, site)) for entry in entries]
    faults = [f"{entry.path} leads out of the environment" for entry, path in placed if path is None]
    inside = [entry._replace(path=path) for entry, path in placed if path is not None]
    if all(entry.path != f"{info.name}/METADATA" for entry in inside):
        faults.append(f"{info.name}/RECORD is incomplete: it does not name METADATA")
    stated = tuple(_stated(inside, site, str(prefix), faults))
    return Installed(
        name=distribution.name,
        version=distribution.version,
        paths=frozenset(prefix_path(entry.path, site) for entry in inside),
        stated=stated,
        faults=tuple(faults),
        digest=installed_digest(inside, script_names(_entry_points(info, inside))),
    )


def _unreadable(distribution: Distribution, fault: str) -> Installed:
    return Installed(
        name=distribution.name,
        version=distribution.version,
        paths=frozenset(),
        stated=(),
        faults=(fault,),
    )


def _entry_points(info: Path, entries: Iterable[Entry]) -> str:
    """Return the text of `entry_points.txt`, or nothing if the wheel did not bring one."""
    if all(entry.path != f"{info.name}/entry_points.txt" for entry in entries):
        return ""
    try:
        return read_bytes(info / "entry_points.txt").decode("utf-8", "replace")
    except UnreadableFileError:
        return ""


def _stated(entries: Collection[Entry], site: str, prefix: str, faults: list[str]) -> Iterator[Stated]:
    """Yield the entries with a usable hash; add a sentence to `faults` for each that should have one."""
    paths = {entry.path for entry in entries}
    for entry in entries:
        path = entry.path
        if source_of(path) in paths:
            continue  # Python and pip compile it again, also where a wheel brings it
        if not entry.hash:
            if not may_lack_hash(path):
                faults.append(f"{path} has no hash in RECORD")
            continue
        algorithm, _, digest = entry.hash.partition("=")
        found = to_hex(digest)
        if algorithm not in STRONG:
            faults.append(f"{path} has a hash by {algorithm} in RECORD, which is not secure")
        elif not found or not _is_size(entry.size):
            faults.append(f"{path} has a hash or size in RECORD that is not one")
        else:
            size = int(entry.size) if entry.size else None
            yield Stated(path, f"{prefix}/{prefix_path(path, site)}", algorithm, found, size)


def _is_size(text: str) -> bool:
    return not text or (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS)


def read_conda(record: CondaRecord, prefix: Path) -> Installed:
    """Return a conda package by its record in `conda-meta/`."""
    stated, faults, paths = [], [], set()
    for path in sorted({*record.files, *(file.path for file in record.hashed)}):
        if not is_inside(path):
            faults.append(f"{path} leads out of the environment")
            continue
        paths.add(path)
        if source_of(path) is None and not _is_there(prefix / path):
            faults.append(f"{path} is missing")
    for file in record.hashed:
        if file.path not in paths or source_of(file.path) is not None or not _is_there(prefix / file.path):
            continue
        if file.is_link:
            if not (prefix / file.path).is_symlink():
                faults.append(f"{file.path} is not the symbolic link that it was")
        elif file.sha256:
            stated.append(Stated(file.path, f"{prefix}/{file.path}", "sha256", file.sha256))
    return Installed(
        name=record.name,
        version=record.version,
        paths=frozenset(paths),
        stated=tuple(stated),
        faults=tuple(faults),
    )


def _is_there(path: Path) -> bool:
    return os.path.lexists(path)


def paths_of(packages: Iterable[Installed]) -> set[str]:
    """Return all files that these packages account for, relative to the environment."""
    return {path for package in packages for path in package.paths}
