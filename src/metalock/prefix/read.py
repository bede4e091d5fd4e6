"""What an environment says of itself: conda's records and the distributions in its site-packages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from metalock.adapters.reading import TEXT, read_bytes
from metalock.errors import UnreadableFileError, UsageError
from metalock.parsing import as_list, as_table, as_text, parse_headers, parse_json
from metalock.prefix.model import Backend

_VERSION_LINE = re.compile(r"^version(?:_info)?[ \t]*=[ \t]*([0-9]{1,3}\.[0-9]{1,3}(?:\.\S*)?)", re.MULTILINE)
"""Of pyvenv.cfg: uv, virtualenv and the standard library call it differently."""
_PYTHON = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}(\..*)?")
_METADATA = ("METADATA", "PKG-INFO")
MOST_NAME = 255
"""Characters of a file name on Linux and macOS."""
SHOWN = 60
"""Characters of a wrong path that a message repeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaRecord:
    """One file of `conda-meta/`."""

    name: str
    version: str
    build: str
    sha256: str | None
    """Of the package; older clients don't write it."""
    files: tuple[str, ...]
    """Relative to the prefix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """One `*.dist-info` or `*.egg-info` that conda did not install."""

    name: str
    version: str
    info: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix:
    """An environment, whoever made it."""

    path: Path
    backend: Backend
    python: str | None
    """The interpreter's version as far as the environment states it."""
    conda: tuple[CondaRecord, ...]
    distributions: tuple[Distribution, ...]
    faults: tuple[str, ...] = ()
    """Records that can't be read."""


def backend_of(prefix: Path) -> Backend:
    """Raise `UsageError` where there is no environment."""
    if (prefix / "conda-meta").is_dir():
        return Backend.CONDA
    if (prefix / "pyvenv.cfg").is_file():
        return Backend.VENV
    raise UsageError(
        f"{prefix} is no environment: it has neither conda-meta/ nor pyvenv.cfg",
        hint="`metalock build ENV --prefix DIR` makes one.",
    )


def python_of(prefix: Path) -> Path:
    """Where its interpreter is, or would be."""
    return prefix / "bin" / "python"


def read_prefix(prefix: Path) -> Prefix:
    """Reads records and metadata, and runs nothing; raise `UsageError` where there is no environment."""
    backend = backend_of(prefix)
    conda: list[CondaRecord] = []
    faults: list[str] = []
    for path in sorted((prefix / "conda-meta").glob("*.json")):
        try:
            conda.append(_conda_record(path))
        except (UnreadableFileError, ValueError) as error:
            faults.append(f"conda-meta/{path.name} can't be read: {error}")
    if backend is Backend.VENV:
        python = _venv_version(prefix)
    else:
        python = next((record.version for record in conda if record.name == "python"), None)
    owned = {file for record in conda for file in record.files if "-info/" in file or file.endswith("-info")}
    distributions = tuple(
        found
        for site in _site_packages(prefix, python)
        for found in _distributions(prefix, site, owned, faults)
    )
    return Prefix(
        path=prefix,
        backend=backend,
        python=python,
        conda=tuple(conda),
        distributions=distributions,
        faults=tuple(faults),
    )


def _conda_record(path: Path) -> CondaRecord:
    """Read a record; raise `ValueError` for one that conda did not write like this."""
    table = as_table(parse_json(read_bytes(path)))
    name, version, build = (as_text(table.get(key)) for key in ("name", "version", "build"))
    sha256 = table.get("sha256")
    return CondaRecord(
        name=name,
        version=version,
        build=build,
        sha256=as_text(sha256) if sha256 else None,
        files=tuple(_plain_path(as_text(file)) for file in as_list(table.get("files", []))),
    )


def _plain_path(file: str) -> str:
    """Return the path; raise `ValueError` for one that no system has."""
    if "\0" in file or any(len(part) > MOST_NAME for part in file.split("/")):
        raise ValueError(f"not a path: {file[:SHOWN]!r}")
    return file


def _venv_version(prefix: Path) -> str | None:
    found = _VERSION_LINE.search(read_bytes(prefix / "pyvenv.cfg", TEXT).decode("utf-8", errors="replace"))
    return found[1] if found else None


def _site_packages(prefix: Path, python: str | None) -> Iterator[Path]:
    """That of its Python; where its version isn't stated, any."""
    minor = ".".join(python.split(".")[:2]) if python and _PYTHON.fullmatch(python) else "*"
    yield from sorted(path for path in prefix.glob(f"lib/python{minor}/site-packages") if path.is_dir())


def _distributions(prefix: Path, site: Path, owned: set[str], faults: list[str]) -> Iterator[Distribution]:
    below = site.relative_to(prefix).as_posix()
    for info in sorted(site.glob("*-info")):
        files = (info, *(info / name for name in _METADATA))
        if any(f"{below}/{file.relative_to(site).as_posix()}" in owned for file in files):
            continue
        if info.suffix in (".dist-info", ".egg-info"):
            yield _distribution(info, faults)


def _distribution(info: Path, faults: list[str]) -> Distribution:
    """Name the distribution by its metadata, or if it has none that can be read, by the folder."""
    name, _, version = info.stem.partition("-")
    for path in (*(info / name for name in _METADATA), info):
        if path == info and info.is_dir():
            continue
        try:
            headers = parse_headers(read_bytes(path))
        except UnreadableFileError as error:
            if not error.is_missing:
                faults.append(f"{path.name} of {info.name}: {error}")
        except ValueError as error:
            faults.append(f"{path.name} of {info.name} can't be read: {error}")
        else:
            name, version = str(headers.get("Name", name)), str(headers.get("Version", version))
            break
    return Distribution(name=canonicalize_name(name), version=version.strip(), info=info)
