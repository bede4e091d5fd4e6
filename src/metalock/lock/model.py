"""What a lock holds, and the digests that show whether it is still valid."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metalock.matrix.model import Cell
    from metalock.platforms import Platform

_SPEC_NAME = re.compile(r"[^\s=<>!~\[]+")
DEFAULT_CHANNEL_ALIAS = "https://conda.anaconda.org"


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaPackage:
    """A conda package by its repodata record (CEP 36), as the channel published it."""

    channel: str
    """The channel's own URL, never a mirror's, without a slash at its end."""
    record: Mapping[str, object]

    @property
    def name(self) -> str:
        return str(self.record["name"])

    @property
    def version(self) -> str:
        return str(self.record["version"])

    @property
    def build(self) -> str:
        return str(self.record["build"])

    @property
    def subdir(self) -> str:
        return str(self.record["subdir"])

    @property
    def file_name(self) -> str:
        return str(self.record["fn"])

    @property
    def sha256(self) -> str:
        return str(self.record["sha256"])

    @property
    def url(self) -> str:
        return f"{self.channel}/{self.subdir}/{self.file_name}"

    @property
    def depends(self) -> tuple[str, ...]:
        """Return the match specs (CEP 29), in the record's order."""
        depends = self.record.get("depends")
        return tuple(str(spec) for spec in depends) if isinstance(depends, list) else ()

    @property
    def needs(self) -> frozenset[str]:
        """Return the names of the packages that this one depends on."""
        return frozenset(name[0] for spec in self.depends if (name := _SPEC_NAME.search(spec)))

    @property
    def needs_python(self) -> bool:
        """Return whether this package installs into `site-packages`, where pip would see it."""
        return "python" in self.needs


@dataclass(frozen=True, slots=True, kw_only=True)
class PipPackage:
    """The one wheel of a distribution that pip takes on the cell's platform."""

    name: str
    version: str
    file: str
    sha256: str
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """Every package of one cell."""

    platform: Platform
    python: str
    """The full version of the locked interpreter, `3.11.15`."""
    floor: str
    inputs: str
    """`cell_inputs` of the cell that this was solved for."""
    conda: tuple[CondaPackage, ...]
    pip: tuple[PipPackage, ...]

    def pip_version(self, name: str) -> str | None:
        """Return the locked version of a distribution, if it is locked."""
        return next((package.version for package in self.pip if package.name == name), None)

    def conda_in_link_order(self) -> tuple[CondaPackage, ...]:
        """Return dependencies first, else by name: clients link an `@EXPLICIT` file from top to bottom.

        If packages need each other, such as Python and pip, Python comes first.
        """
        packages = {package.name: package for package in self.conda}
        graph = {name: sorted(p.needs & packages.keys() - {name}) for name, p in packages.items()}
        if "python" in graph:
            graph["python"] = [name for name in graph["python"] if not packages[name].needs_python]
        sorter = _acyclic(graph)
        order: list[CondaPackage] = []
        while sorter.is_active():
            ready = sorted(sorter.get_ready())
            order += [packages[name] for name in ready]
            sorter.done(*ready)
        return tuple(order)


def _acyclic(graph: dict[str, list[str]]) -> TopologicalSorter[str]:
    """Return a prepared sorter, after removing an edge of each cycle from `graph`."""
    while True:
        sorter = TopologicalSorter(graph)
        try:
            sorter.prepare()
        except CycleError as error:
            needed, needing = error.args[1][:2]
            graph[needing].remove(needed)
        else:
            return sorter


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade:
    """Which locked versions may change."""

    everything: bool = False
    packages: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.everything or bool(self.packages)

    def frees(self, name: str) -> bool:
        """Return whether the package with that name may change its version."""
        return self.everything or canonicalize_name(name) in self.packages


def digest_of(value: object) -> str:
    """Return the sha256 of the value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def cell_inputs(cell: Cell) -> str:
    """Return the digest of everything that a cell's lock is solved from, and of nothing else."""
    constraints = {"constraints": dict(cell.constraints)} if cell.constraints else {}
    return digest_of(
        {
            **constraints,
            "platform": str(cell.platform),
            "python": cell.python,
            "floor": cell.floor,
            "channels": cell.channels,
            "exclude-newer": cell.exclude_newer,
            "conda": dict(cell.conda),
            "pip": dict(cell.pip),
            "from-conda": cell.from_conda,
        }
    )


def lock_digest(lock: Lock) -> str:
    """Return the digest of the files that a lock installs, and of nothing else: evidence is bound to it.

    What was asked for (versions, floor, cut-off) may change without any effect on an environment.
    """
    return digest_of(
        {
            "platform": str(lock.platform),
            "conda": [[package.url, package.sha256] for package in lock.conda],
            "pip": [[package.file, package.sha256] for package in lock.pip],
        }
    )
