"""What an environment says of itself: conda's records and the distributions in its site-packages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from pathlib import Path

from packaging.utils import canonicalize_name

from metalock.errors import UsageError
from metalock.prefix.model import Backend

_VERSION_LINE = re.compile(r"^version(?:_info)?\s*=\s*(\d+\.\d+\S*)", re.MULTILINE)
"""Of pyvenv.cfg: uv, virtualenv and the standard library call it differently."""
_METADATA = ("METADATA", "PKG-INFO")


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
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            faults.append(f"conda-meta/{path.name} can't be read: {type(error).__name__}: {error}")
    if backend is Backend.VENV:
        python = _venv_version(prefix)
    else:
        python = next((record.version for record in conda if record.name == "python"), None)
    owned = {file for record in conda for file in record.files if "-info/" in file or file.endswith("-info")}
    distributions = tuple(
        found for site in _site_packages(prefix, python) for found in _distributions(prefix, site, owned)
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
    table = json.loads(path.read_bytes())
    sha256 = table.get("sha256")
    return CondaRecord(
        name=str(table["name"]),
        version=str(table["version"]),
        build=str(table["build"]),
        sha256=str(sha256) if sha256 else None,
        files=tuple(str(file) for file in table.get("files", ())),
    )


def _venv_version(prefix: Path) -> str | None:
    found = _VERSION_LINE.search((prefix / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace"))
    return found[1] if found else None


def _site_packages(prefix: Path, python: str | None) -> Iterator[Path]:
    """That of its Python; where its version isn't stated, any."""
    minor = ".".join(python.split(".")[:2]) if python else "*"
    yield from sorted(path for path in prefix.glob(f"lib/python{minor}/site-packages") if path.is_dir())


def _distributions(prefix: Path, site: Path, owned: set[str]) -> Iterator[Distribution]:
    below = site.relative_to(prefix).as_posix()
    for info in sorted(site.glob("*-info")):
        files = (info, *(info / name for name in _METADATA))
        if any(f"{below}/{file.relative_to(site).as_posix()}" in owned for file in files):
            continue
        if info.suffix in (".dist-info", ".egg-info"):
            yield _distribution(info)


def _distribution(info: Path) -> Distribution:
    """By its metadata, or where that is gone, by the folder's name."""
    name, _, version = info.stem.partition("-")
    for path in (*(info / name for name in _METADATA), info):
        if path.is_file():
            with path.open("rb") as file:
                headers = BytesHeaderParser().parse(file)
            name, version = headers.get("Name", name), headers.get("Version", version)
            break
    return Distribution(name=canonicalize_name(name), version=version.strip(), info=info)
