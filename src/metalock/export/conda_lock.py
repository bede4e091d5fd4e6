"""The locks of one environment as one `conda-lock.yml`, through conda-lock's own models."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit, urlunsplit

from metalock.adapters.files import write_text
from metalock.adapters.http import Client
from metalock.adapters.index import PackageIndex
from metalock.adapters.settings import read_settings
from metalock.errors import FetchError, ToolError, UsageError
from metalock.lock.model import CondaPackage, Lock, PipPackage, lock_digest
from metalock.matrix.model import Cell
from metalock.progress import Reporter
from metalock.workspace import Standing, Workspace

HEADER = """\
# {env} for {platforms}, exported by `metalock export conda-lock`.
# The URLs of the wheels come from one package index: do not commit this file.
# Use: conda-lock install --name {env} {file}
# or:  micromamba create --name {env} --file {file}
"""


def write_conda_lock(workspace: Workspace, cells: Sequence[Cell], path: Path, *, reporter: Reporter) -> bool:
    """Write one file for all the cells of an environment; return False if it was up to date.

    Raises `UsageError` unless every lock is current, and `FetchError` unless the index has every locked wheel
    with its locked hash.
    """
    locks = _current_locks(workspace, cells)
    urls = find_wheels(PackageIndex(read_settings().index_url, client=Client(reporter)), locks, reporter)
    public = {file: public_url(url) for file, url in urls.items()}
    stripped = sum(public[file] != url for file, url in urls.items())
    if stripped:
        reporter.note(
            f"credentials, tokens or queries left out of {stripped} wheel URLs: configure them for pip"
        )
    for cell in cells:
        if cell.variables:
            reporter.note(
                f"{cell.name}: conda-lock.yml cannot hold variables: set {', '.join(cell.variables)} yourself"
            )
    platforms = ", ".join(sorted(lock.platform for lock in locks))
    header = HEADER.format(env=cells[0].env, platforms=platforms, file=path.name)
    text = to_conda_lock(locks, public, workspace.matrix.channels, workspace.matrix_file.name)
    return write_text(path, header + text)


def _current_locks(workspace: Workspace, cells: Sequence[Cell]) -> list[Lock]:
    states = [workspace.state(cell) for cell in cells]
    faults = [f"{s.cell.name}: {s.reason}" for s in states if s.standing is not Standing.CURRENT]
    if faults:
        raise UsageError(
            "\n".join(
                ["only locks that are up to date can be exported:", *(f"  {fault}" for fault in faults)]
            ),
            hint=f"Run `metalock env --env {cells[0].env}`.",
        )
    return [state.lock for state in states if state.lock is not None]


def find_wheels(index: PackageIndex, locks: Sequence[Lock], reporter: Reporter) -> dict[str, str]:
    """Return the URL of every locked wheel, by file name.

    Raises `FetchError` with all wheels that the index does not list, or lists with another hash.
    """
    packages = sorted({package for lock in locks for package in lock.pip}, key=lambda p: (p.file, p.sha256))
    urls: dict[str, str] = {}
    faults: list[str] = []
    reporter.start("looking up wheels", len(packages))
    try:
        for package in packages:
            entry = index.find(package)
            if entry is None:
                faults.append(f"{package.file}: the index does not list it")
            elif (entry.sha256 or "").lower() != package.sha256:
                stated = entry.sha256 or "none"
                faults.append(f"{package.file}: locked sha256 {package.sha256}, the index says {stated}")
            else:
                urls[package.file] = entry.url
            reporter.advance(package.file)
    finally:
        reporter.finish()
    if faults:
        raise FetchError(
            "\n".join(["the index does not have what is locked:", *(f"  {fault}" for fault in faults)]),
            hint="Run `metalock env --upgrade PACKAGE` to lock what the index has now.",
        )
    return urls


def public_url(url: str) -> str:
    """Return the address of a file without what may be secret: credentials, a token, the query.

    >>> public_url("https://me:p@ss@127.0.0.1:8080/files/a-1-py3-none-any.whl?token=x")
    'https://127.0.0.1:8080/files/a-1-py3-none-any.whl'
    >>> public_url("https://example.invalid/t/tk-1/files/a-1-py3-none-any.whl")
    'https://example.invalid/files/a-1-py3-none-any.whl'
    """
    parts = urlsplit(url)
    path = re.sub(r"/t/[^/]+", "", parts.path)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], path, "", ""))


def to_conda_lock(
    locks: Sequence[Lock], urls: Mapping[str, str], channels: Sequence[str], source: str
) -> str:
    """Return the text that conda-lock writes for these locks; `urls` by wheel file name."""
    packages = [_conda_entry(package, lock) for lock in locks for package in lock.conda]
    packages += [_pip_entry(package, lock, urls[package.file]) for lock in locks for package in lock.pip]
    metadata = {
        "content_hash": {str(lock.platform): lock_digest(lock) for lock in sorted(locks, key=_platform)},
        # a table, since in a string conda-lock would look for values of this machine's variables
        "channels": [{"url": channel, "used_env_vars": ()} for channel in channels],
        "platforms": [str(lock.platform) for lock in sorted(locks, key=_platform)],
        "sources": [source],
    }
    with _side_effects_undone(), TemporaryDirectory() as folder:
        from conda_lock.lockfile import write_conda_lock_file
        from conda_lock.lockfile.v2prelim.models import Lockfile

        lockfile = Lockfile.model_validate({"package": packages, "metadata": metadata})
        file = Path(folder) / "conda-lock.yml"
        write_conda_lock_file(lockfile, file, metadata_choices=None, include_help_text=False)
        return file.read_text(encoding="utf-8")


def _platform(lock: Lock) -> str:
    return lock.platform


def _conda_entry(package: CondaPackage, lock: Lock) -> dict[str, object]:
    md5 = package.record.get("md5")
    if not md5:
        raise ToolError(f"{package.url}: its channel states no md5, and conda-lock.yml must have one")
    return {
        "name": package.name,
        "version": package.version,
        "manager": "conda",
        "platform": str(lock.platform),
        "dependencies": to_dependencies(package.depends),
        "url": package.url,
        "hash": {"md5": md5, "sha256": package.sha256},
        "categories": {"main"},
    }


def _pip_entry(package: PipPackage, lock: Lock, url: str) -> dict[str, object]:
    """Return an entry without dependencies, since installers of this format run pip with `--no-deps`."""
    return {
        "name": package.name,
        "version": package.version,
        "manager": "pip",
        "platform": str(lock.platform),
        "dependencies": {},
        "url": url,
        "hash": {"sha256": package.sha256},
        "categories": {"main"},
    }


def to_dependencies(depends: Sequence[str]) -> dict[str, str]:
    """Return match specs by name; a name's version specs are joined, and a build, if any, is last.

    >>> to_dependencies(["python >=3.9", "python", "libgcc 16.1.0 ha9f2e26_2", "tzdata"])
    {'python': '>=3.9', 'libgcc': '16.1.0 ha9f2e26_2', 'tzdata': ''}
    """
    specs: dict[str, set[str]] = {}
    for depend in depends:
        name, _, spec = depend.partition(" ")
        specs.setdefault(name, set()).add(spec.strip())
    return {
        name: ",".join(sorted(wanted - {""}, key=lambda spec: (" " in spec, spec)))
        for name, wanted in specs.items()
    }


@contextmanager
def _side_effects_undone() -> Iterator[None]:
    """Undo that importing conda-lock sets CONDA_ROOT, and silence warnings of its vendored code."""
    before = os.environ.get("CONDA_ROOT")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", PendingDeprecationWarning)
            yield
    finally:
        if before is None:
            os.environ.pop("CONDA_ROOT", None)
