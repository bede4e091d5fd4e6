"""Installs locked conda packages into a prefix with py-rattler."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from metalock.adapters.conda import open_client, to_records
from metalock.adapters.files import naming
from metalock.adapters.uv import DISK_FULL, DISK_HINT
from metalock.adapters.waiting import TooLongError, Wait, watched
from metalock.errors import FetchError, MetalockError, ToolError
from metalock.lock.model import DEFAULT_CHANNEL_ALIAS, CondaPackage
from metalock.progress import Reporter

if TYPE_CHECKING:
    from rattler.install import InstallerReporter

    from metalock.adapters.settings import Settings

SILENCE = 60.0
"""Seconds in which downloads must bring `LEAST` bytes."""
LEAST = 10_000
INSTALL_LIMIT = 7200.0
"""Seconds for the whole conda part."""
NOTED = 10_000_000
"""Bytes from which on a download is announced."""
CHANNEL_HINT = (
    "Check the network, CONDA_CHANNEL_ALIAS and .condarc, and run the command again: downloads are kept. "
    "Use --backend venv to install the pip part without a channel, on an interpreter of this machine."
)


class _Watcher:
    """Receives rattler's progress, on rattler's threads."""

    def __init__(self, reporter: Reporter, sizes: dict[str, int]) -> None:
        self._reporter = reporter
        self._sizes = sizes
        self._names: dict[int, str] = {}
        self._downloads: dict[int, str] = {}
        self._received: dict[int, int] = {}
        self._counted = 0
        self.last_word = time.monotonic()

    @property
    def is_silent(self) -> bool:
        """Return whether downloads are running, and have brought almost nothing for long."""
        return bool(self._downloads) and time.monotonic() - self.last_word > SILENCE

    @property
    def downloading(self) -> str:
        return ", ".join(sorted(self._downloads.values()))

    def on_populate_cache_start(self, operation: int, package_name: str) -> int:
        self._names[operation] = package_name
        return operation

    def on_download_start(self, cache_entry: int) -> int:
        self.last_word = time.monotonic()
        name = self._downloads[cache_entry] = self._names.get(cache_entry, "a package")
        size = self._sizes.get(name, 0)
        if size > NOTED:
            self._reporter.note(f"fetching {name}, {size / 1e6:.0f} MB")
        return cache_entry

    def on_download_progress(self, download: int, progress: int, _total: int | None) -> None:
        self._received[download] = progress
        received = sum(self._received.values())
        if abs(received - self._counted) >= LEAST:
            self._counted = received
            self.last_word = time.monotonic()

    def on_download_completed(self, download_idx: int) -> None:
        self._downloads.pop(download_idx, None)
        self.last_word = time.monotonic()

    def on_link_start(self, _operation: int, package_name: str) -> int:
        self._reporter.advance(package_name)
        return 0

    def __getattr__(self, name: str) -> Callable[..., int]:
        """Return a hook that does nothing: rattler calls many more than are of interest."""
        if not name.startswith("on_"):
            raise AttributeError(name)
        return lambda *_: 0


def install_conda(
    packages: Sequence[CondaPackage], prefix: Path, *, settings: Settings, cache: Path, reporter: Reporter
) -> None:
    """Download the packages that `cache` does not hold, and link all; for the packages' own platform.

    Raises `FetchError` for a channel that fails, or has another file than was locked, else `ToolError`.
    """
    sizes = {
        package.name: size for package in packages if isinstance(size := package.record.get("size"), int)
    }
    watcher = _Watcher(reporter, sizes)
    reporter.start("conda part", len(packages))
    try:
        asyncio.run(_install(packages, prefix, settings=settings, cache=cache, watcher=watcher))
    finally:
        reporter.finish()


def write_variables(prefix: Path, variables: Mapping[str, str]) -> None:
    """Write the variables that `conda activate` sets there."""
    state = {"version": 1, "env_vars": dict(variables)}
    path = prefix / "conda-meta" / "state"
    with naming(path):
        path.write_text(json.dumps(state), encoding="utf-8")


async def _install(
    packages: Sequence[CondaPackage], prefix: Path, *, settings: Settings, cache: Path, watcher: _Watcher
) -> None:
    from rattler import Subdir, install

    channels = sorted({p.channel.removeprefix(f"{DEFAULT_CHANNEL_ALIAS}/") for p in packages})
    platform = next((p.subdir for p in packages if p.subdir != "noarch"), "noarch")
    wait = Wait(INSTALL_LIMIT)

    def check() -> None:
        wait.check()
        if watcher.is_silent:
            raise FetchError(
                f"conda channel: {watcher.downloading}: almost nothing was received for {SILENCE:.0f} s",
                hint=CHANNEL_HINT,
            )

    work = install(
        to_records(packages),
        prefix,
        cache_dir=cache,
        platform=Subdir(platform),
        client=open_client(settings, channels, timeout=None),
        execute_link_scripts=True,
        reporter=cast("InstallerReporter", watcher),
    )
    try:
        await watched(work, check)
    except MetalockError:
        raise
    except TooLongError:
        raise FetchError(
            f"conda channel: not all was received within {INSTALL_LIMIT:.0f} s", hint=CHANNEL_HINT
        ) from None
    except Exception as error:  # noqa: BLE001 - what rattler's installer raises has no common root
        sources = [source for name in channels for source in settings.channel_sources(name)]
        raise _failure(str(error).strip(), prefix, sources) from None


def _failure(text: str, prefix: Path, sources: Sequence[str]) -> ToolError:
    """Return the error that fits the text of rattler's: it has one class, and begins with what failed."""
    words = "; ".join(line.removeprefix("Caused by: ").rstrip(".") for line in text.splitlines())
    if DISK_FULL.search(text):
        return ToolError(
            f"no space for {prefix}, or for the cache of conda packages: {words}", hint=DISK_HINT
        )
    if text.startswith("failed to fetch"):
        return FetchError(f"conda channel, read from {', '.join(sources)}: {words}", hint=CHANNEL_HINT)
    return ToolError(f"{prefix}: {words}")
