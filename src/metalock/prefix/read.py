"""What an environment says of itself: conda's records and the distributions in its site-packages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from metalock.adapters.reading import TEXT, read_bytes
from metalock.errors import UnreadableFileError, UsageError
from metalock.parsing import as_list, as_table, as_text, parse_headers, parse_json
from metalock.platforms import minor_of
from metalock.prefix.model import Backend

_VERSION_LINE = re.compile(r"^version(?:_info)?[ \t]*=[ \t]*([0-9]{1,3}\.[0-9]{1,3}(?:\.\S*)?)", re.MULTILINE)
"""The version in pyvenv.cfg: uv, virtualenv and the standard library use different keys."""
_PYTHON = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}(\..*)?")
_SITE_PACKAGES = re.compile(r"lib/python[^/]+/site-packages/")
_METADATA = ("METADATA", "PKG-INFO")
MOST_NAME = 255
"""Characters of a file name on Linux and macOS."""
SHOWN = 60
"""Characters of a wrong path that a message repeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaFile:
    """An entry of the `paths_data` of a conda record."""

    path: str
    """Relative to the environment."""
    sha256: str
    """The hash of the installed file, with this environment's path in it where it has one; may be empty."""
    is_link: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaRecord:
    """One file of `conda-meta/`."""

    name: str
    version: str
    build: str
    sha256: str | None
    """The hash of the package; older clients do not write it."""
    files: tuple[str, ...]
    """The paths of its files, relative to the environment."""
    hashed: tuple[CondaFile, ...]
    """Those of its files that the record states more about; old clients state nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """One `*.dist-info` or `*.egg-info` that conda did not install."""

    name: str
    version: str
    info: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix:
    """An environment, whatever client made it."""

    path: Path
    backend: Backend
    python: str | None
    """The version of the interpreter, if the environment states it."""
    conda: tuple[CondaRecord, ...]
    distributions: tuple[Distribution, ...]
    faults: tuple[str, ...] = ()
    """A sentence for each record that cannot be read."""


def backend_of(prefix: Path) -> Backend:
    """Return what made the environment; raise `UsageError` if there is none."""
    if (prefix / "conda-meta").is_dir():
        return Backend.CONDA
    if (prefix / "pyvenv.cfg").is_file():
        return Backend.VENV
    raise UsageError(
        f"{prefix} is not a conda or venv environment (no conda-meta/, no pyvenv.cfg)",
        hint="Run `metalock build ENV --prefix DIR` to make one.",
    )


def python_of(prefix: Path) -> Path:
    """Return the path of the interpreter, whether it exists or not."""
    return prefix / "bin" / "python"


def read_prefix(prefix: Path) -> Prefix:
    """Return the records and metadata of an environment; raise `UsageError` if there is none."""
    backend = backend_of(prefix)
    conda: list[CondaRecord] = []
    faults: list[str] = []
    for path in sorted((prefix / "conda-meta").glob("*.json")):
        try:
            conda.append(_conda_record(path))
        except (UnreadableFileError, ValueError) as error:
            faults.append(f"conda-meta/{path.name} cannot be read: {error}")
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
    """Return a record; raise `ValueError` for one that conda does not write like this."""
    table = as_table(parse_json(read_bytes(path)))
    name, version, build = (as_text(table.get(key)) for key in ("name", "version", "build"))
    sha256 = table.get("sha256")
    files = tuple(_plain_path(file) for file in as_list(table.get("files", [])))
    paths = as_list(as_table(table.get("paths_data") or {}).get("paths") or [])
    return CondaRecord(
        name=name,
        version=version,
        build=build,
        sha256=as_text(sha256) if sha256 else None,
        files=files,
        hashed=tuple(_conda_files(map(as_table, paths), files)),
    )


def _plain_path(value: object) -> str:
    """Return the path; raise `ValueError` for one that no system has."""
    file = as_text(value)
    if "\0" in file or any(len(part) > MOST_NAME for part in file.split("/")):
        raise ValueError(f"not a path: {file[:SHOWN]!r}")
    return file


def _conda_files(paths: Iterable[Mapping[str, object]], files: Iterable[str]) -> Iterator[CondaFile]:
    """Yield the files of a record; those of noarch packages have their place in the package with conda."""
    site = next((found[0] for file in files if (found := _SITE_PACKAGES.match(file))), "site-packages/")
    places = {"site-packages/": site, "python-scripts/": "bin/"}
    for entry in paths:
        kind = entry.get("path_type")
        if kind == "directory":
            continue
        own = None if entry.get("prefix_placeholder") else entry.get("sha256")
        top, slash, rest = _plain_path(entry.get("_path")).partition("/")
        yield CondaFile(
            path=places.get(top + slash, top + slash) + rest,
            sha256=as_text(entry.get("sha256_in_prefix") or own or "").lower(),
            is_link=kind == "softlink",
        )


def _venv_version(prefix: Path) -> str | None:
    found = _VERSION_LINE.search(read_venv(prefix))
    return found[1] if found else None


def read_venv(prefix: Path) -> str:
    """Return the text of `pyvenv.cfg`, or nothing if it cannot be read."""
    try:
        return read_bytes(prefix / "pyvenv.cfg", TEXT).decode("utf-8", "replace")
    except UnreadableFileError:
        return ""


def _site_packages(prefix: Path, python: str | None) -> Iterator[Path]:
    """Yield the folder of the environment's Python; of any Python, if its version is not stated."""
    minor = minor_of(python) if python and _PYTHON.fullmatch(python) else "*"
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
    """Return a distribution by its metadata, or if that is gone, by the name of its folder."""
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
            faults.append(f"{path.name} of {info.name} cannot be read: {error}")
        else:
            name, version = str(headers.get("Name", name)), str(headers.get("Version", version))
            break
    return Distribution(name=canonicalize_name(name), version=version.strip(), info=info)
