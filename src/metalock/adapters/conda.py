"""Solves conda parts with py-rattler: from the channels, or from known records."""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from metalock.adapters.files import naming
from metalock.adapters.uv import DISK_FULL, DISK_HINT
from metalock.adapters.waiting import TooLongError, Wait, watched
from metalock.errors import FetchError, ToolError, UnsolvableError
from metalock.lock.model import CondaPackage
from metalock.progress import Reporter

if TYPE_CHECKING:
    from rattler import Gateway, GenericVirtualPackage, RepoDataRecord, SparseRepoData
    from rattler.networking import Client

    from metalock.adapters.settings import Settings
    from metalock.platforms import Platform

RETRIES = 3
TIMEOUT = 120
"""Seconds for one request of the gateway with its whole answer: a mirror without shards sends tens of MB."""
OFFLINE_HINT = "Use --offline to solve from the records that the committed locks hold."
_SPOILT = re.compile(r"error decoding response body|failed to (?:decode|parse) (?:zstd )?shard")
"""An answer that was incomplete or damaged; rattler asks again for whole repodata, not for a shard."""
SOLVE_LIMIT = 1800.0
"""Seconds for a solve with all its downloads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaRequest:
    """All that a conda part is solved from; cells with equal requests share the result."""

    platform: Platform
    floor: str
    channels: tuple[str, ...]
    exclude_newer: str
    specs: tuple[str, ...]
    """Match specs (CEP 29), sorted."""


def open_client(settings: Settings, channels: Iterable[str], *, timeout: int | None) -> Client:
    """Return a client that reads channels from where the settings say; `timeout`: seconds for an answer."""
    from rattler.networking import AuthenticationMiddleware, Client, MirrorMiddleware, RetryMiddleware

    mirrors = {settings.channel_url(name): list(settings.channel_sources(name)) for name in channels}
    return Client(
        [RetryMiddleware(RETRIES), AuthenticationMiddleware(), MirrorMiddleware(mirrors)], timeout=timeout
    )


class ChannelSolver:
    """Solves against the channels, each repodata fetched once and shared by all solves."""

    is_offline: ClassVar[bool] = False

    def __init__(self, settings: Settings, cache: Path, reporter: Reporter | None = None) -> None:
        self._settings = settings
        self._cache = cache
        self._reporter = reporter or Reporter()
        self._gateway: Gateway | None = None

    def unreachable(self, channels: Iterable[str]) -> str | None:
        """Return the first channel none of whose sources answers at all, or None."""
        from metalock.adapters.http import Client

        client = Client(self._reporter)
        for channel in channels:
            sources = self._settings.channel_sources(channel)
            if not any(client.is_reachable(f"{source}/noarch/repodata.json.zst") for source in sources):
                return channel
        return None

    def solve(
        self, request: CondaRequest, locked: Sequence[CondaPackage], *, tries: int = 2
    ) -> tuple[CondaPackage, ...]:
        """Return the records of every package; those of `locked` are kept where they still fit.

        Raises `UnsolvableError` with the solver's reasons, `FetchError` for a channel that
        answers wrongly.
        """
        from rattler import Channel, Subdir, solve
        from rattler.exceptions import SolverError

        urls = [self._settings.channel_url(channel) for channel in request.channels]
        names = ", ".join(request.channels)
        note = f"waiting for the conda channel {names}; Ctrl-C ends the run"
        wait = Wait(SOLVE_LIMIT, lambda: self._reporter.note(note))
        try:
            work = solve(
                [Channel(url) for url in urls],
                list(request.specs),
                gateway=self._open_gateway(request.channels),
                platforms=[Subdir(request.platform), Subdir("noarch")],
                locked_packages=to_records(locked),
                virtual_packages=_virtual_packages(request),
                exclude_newer=datetime.fromisoformat(request.exclude_newer),
            )
            records = asyncio.run(watched(work, wait.check))
        except SolverError as error:
            raise UnsolvableError(str(error).strip()) from None
        except TooLongError:
            raise FetchError(
                f"conda channel {names}: no complete answer within {SOLVE_LIMIT:.0f} s", hint=OFFLINE_HINT
            ) from None
        except Exception as error:  # noqa: BLE001 - what rattler's gateway raises has no common root
            if tries > 1 and _SPOILT.match(str(error)):
                return self.solve(request, locked, tries=tries - 1)
            if DISK_FULL.search(str(error)):
                raise ToolError(
                    f"no space for the cache of conda channels, {self._cache}: {str(error).strip()}",
                    hint=DISK_HINT,
                ) from None
            raise FetchError(
                f"conda channel {names}: {str(error).strip()}",
                hint=OFFLINE_HINT,
            ) from None
        return _from_records(records)

    def _open_gateway(self, channels: Sequence[str]) -> Gateway:
        if self._gateway is None:
            from rattler import Gateway

            client = open_client(self._settings, channels, timeout=TIMEOUT)
            self._gateway = Gateway(cache_dir=self._cache, client=client)
        return self._gateway


class RecordSolver:
    """Solves from the conda packages that committed locks hold, without any server."""

    is_offline: ClassVar[bool] = True

    def __init__(self, settings: Settings, known: Iterable[CondaPackage]) -> None:
        self._settings = settings
        self._known = tuple(known)

    def solve(self, request: CondaRequest, locked: Sequence[CondaPackage]) -> tuple[CondaPackage, ...]:
        """Solve as `ChannelSolver`; an `UnsolvableError` may only mean that no lock holds the package yet."""
        from rattler import solve_with_sparse_repodata
        from rattler.exceptions import SolverError

        urls = [self._settings.channel_url(channel) for channel in request.channels]
        usable = [p for p in self._known if p.channel in urls and p.subdir in (request.platform, "noarch")]
        with _as_repodata(sorted(usable, key=lambda p: urls.index(p.channel))) as sparse:
            try:
                records = asyncio.run(
                    solve_with_sparse_repodata(
                        list(request.specs),
                        sparse,
                        locked_packages=to_records(locked),
                        virtual_packages=_virtual_packages(request),
                        exclude_newer=datetime.fromisoformat(request.exclude_newer),
                    )
                )
            except SolverError as error:
                raise UnsolvableError(
                    str(error).strip(),
                    hint="This was solved from the records of the committed locks alone. "
                    "Run it again where the channel can be reached.",
                ) from None
        return _from_records(records)


@contextmanager
def _as_repodata(packages: Iterable[CondaPackage]) -> Iterator[list[SparseRepoData]]:
    """Write the packages as a channel that rattler reads, the one way to pass it whole records."""
    from rattler import Channel, SparseRepoData

    groups: dict[tuple[str, str], dict[str, dict[str, dict[str, object]]]] = {}
    for package in packages:
        record = {key: value for key, value in package.record.items() if key != "fn"}
        group = groups.setdefault((package.channel, package.subdir), {"packages": {}, "packages.conda": {}})
        kind = "packages.conda" if package.file_name.endswith(".conda") else "packages"
        group[kind][package.file_name] = record
    with tempfile.TemporaryDirectory(prefix="metalock-") as folder:
        sparse = []
        for index, ((channel, subdir), group) in enumerate(groups.items()):
            path = Path(folder) / f"{index}.json"
            with naming(path):
                path.write_text(json.dumps({"info": {"subdir": subdir}, **group}), encoding="utf-8")
            sparse.append(SparseRepoData(Channel(channel), subdir, path))
        yield sparse
        for data in sparse:
            data.close()


def to_records(packages: Sequence[CondaPackage]) -> list[RepoDataRecord]:
    """Return the packages as records of rattler."""
    with _as_repodata(packages) as sparse:
        return [record for data in sparse for record in data.load_all_records()]


def _virtual_packages(request: CondaRequest) -> list[GenericVirtualPackage]:
    from rattler import GenericVirtualPackage, PackageName, Version
    from rattler.package import BuildString

    return [
        GenericVirtualPackage(PackageName(name), Version(version), BuildString(build))
        for name, version, build in request.platform.virtual_packages(request.floor)
    ]


def _from_records(records: Iterable[RepoDataRecord]) -> tuple[CondaPackage, ...]:
    packages = []
    for item in records:
        record = json.loads(item.to_json())
        channel = str(record.pop("channel")).rstrip("/")
        record.pop("url")
        if "sha256" not in record:
            raise FetchError(f"{channel}: {record['fn']} has no sha256, so it can't be locked")
        packages.append(CondaPackage(channel=channel, record=dict(sorted(record.items()))))
    return tuple(sorted(packages, key=lambda package: package.name))
