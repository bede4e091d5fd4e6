"""The facts of many wheels: those known at once, the others as they are fetched and read, side by side."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from io import BufferedReader, FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from metalock.adapters.cache import Cache, disk_faults
from metalock.adapters.fetch import Download, fetch
from metalock.adapters.http import Client
from metalock.adapters.index import PackageIndex
from metalock.adapters.settings import read_settings
from metalock.audit.facts import WheelFacts, dump, load
from metalock.audit.wheel import read_wheel
from metalock.binaries import Binary, InvalidBinary
from metalock.errors import FetchError, MetalockError, ToolError
from metalock.lock.model import PipPackage
from metalock.platforms import Platform
from metalock.progress import Reporter

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Answer = tuple[PipPackage, WheelFacts | MetalockError]


class WheelLibrary:
    """Wheels of an index, and the cache of what was found in them.

    Each job fetches a wheel, reads it and deletes it, unless `keep`: so there are never more than
    `jobs` wheels on disk. As many are read at a time as there are processors; the others download.
    """

    def __init__(
        self,
        index: PackageIndex,
        cache: Cache,
        *,
        client: Client | None = None,
        reporter: Reporter | None = None,
        jobs: int | None = None,
        keep: bool = False,
    ) -> None:
        processors = os.cpu_count() or 1
        self._index = index
        self.client = client or Client(reporter)
        self._cache = cache
        self._reporter = reporter or Reporter()
        self._jobs = jobs or processors + 2
        self._processors = threading.Semaphore(processors)
        self._keep = keep
        self._stop = threading.Event()

    def facts(self, packages: Iterable[PipPackage], platform: Platform) -> Iterator[Answer]:
        """Give each wheel once, in no certain order, with its facts or with why there are none.

        What was read stays known if this is given up in the middle.
        """
        self._cache.prepare()
        unknown = []
        for package in {package.sha256: package for package in packages}.values():
            known = self._known(package, platform)
            if known is None:
                unknown.append(package)
            else:
                yield package, known
        if unknown:
            yield from self._read_all(unknown, platform)

    def knows(self, package: PipPackage, platform: Platform) -> bool:
        """Return whether its facts are in the cache; its size does not matter then; damaged ones count."""
        return self._cache.has(_entry(package, platform))

    def _read_all(self, packages: list[PipPackage], platform: Platform) -> Iterator[Answer]:
        self._reporter.start("reading wheels", len(packages))
        self._stop.clear()
        pool = ThreadPoolExecutor(self._jobs, thread_name_prefix="wheel")
        try:
            largest_first = sorted(packages, key=lambda package: (-package.size, package.file))
            pending = {pool.submit(self._answer, package, platform): package for package in largest_first}
            for future in as_completed(pending):
                package, answer = pending.pop(future), future.result()
                self._reporter.advance(package.file, str(answer) if isinstance(answer, Exception) else "read")
                yield package, answer
        finally:
            self._stop.set()
            pool.shutdown(cancel_futures=True)
            self._reporter.finish()

    def _answer(self, package: PipPackage, platform: Platform) -> WheelFacts | MetalockError:
        try:
            with self._cache.turn(package.sha256):
                known = self._known(package, platform)
                if known is None:
                    self._read(package, platform)
                    known = self._known(package, platform)
        except MetalockError as error:
            return error
        return known or ToolError(f"{package.file}: its facts were gone as soon as they were stored")

    def _read(self, package: PipPackage, platform: Platform) -> None:
        path = fetch(self._download(package), self._cache.wheels, self.client, checkpoint=self._checkpoint)
        try:
            with (
                self._processors,
                disk_faults(self._cache.folder),
                BufferedReader(_Stoppable(path, self._checkpoint)) as file,
            ):
                facts = read_wheel(file, package.file, package.sha256, platform, scratch=self._cache.wheels)
                self._cache.write(_entry(package, platform), lambda stream: dump(facts, stream))
        finally:
            if not self._keep:
                path.unlink(missing_ok=True)

    def _checkpoint(self) -> None:
        if self._stop.is_set():
            raise ToolError("given up")

    def _download(self, package: PipPackage) -> Download:
        wheel = self._index.find(package)
        if wheel is None:
            raise FetchError(f"{package.file}: the package index doesn't have it")
        if wheel.sha256 not in {None, package.sha256}:
            raise FetchError(f"{package.file}: the package index has another file of that name")
        return Download(url=wheel.url, file=package.file, sha256=package.sha256, size=package.size)

    def _known(self, package: PipPackage, platform: Platform) -> WheelFacts | None:
        entry = _entry(package, platform)
        buffer = self._cache.map(entry)
        if buffer is None:
            return None
        try:
            facts = load(buffer)
        except InvalidBinary:
            facts = None
        if facts is None or facts.sha256 != package.sha256:
            self._cache.discard(entry)
            return None
        return replace(facts, binaries=_Stored(facts.binaries, package.file, self._cache, entry))


class _Stoppable(FileIO):
    """A file that calls `checkpoint`, which may raise, before each read: a giant takes many seconds."""

    def __init__(self, path: Path, checkpoint: Callable[[], None]) -> None:
        super().__init__(path)
        self._checkpoint = checkpoint

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        """Read into the buffer, unless the run is stopped."""
        self._checkpoint()
        return super().readinto(buffer)


class _Stored(Mapping[str, Binary]):
    """Binaries in the cache. Their tables are checked when asked for; damaged ones are forgotten."""

    def __init__(self, binaries: Mapping[str, Binary], file: str, cache: Cache, entry: str) -> None:
        self._binaries = binaries
        self._file = file
        self._cache = cache
        self._entry = entry

    def __getitem__(self, path: str) -> Binary:
        try:
            return self._binaries[path]
        except InvalidBinary as error:
            self._cache.discard(self._entry)
            raise ToolError(
                f"{self._file}: its entry in the cache is damaged ({error})",
                hint="Run the command again: the entry was removed.",
            ) from None

    def __contains__(self, path: object) -> bool:
        return path in self._binaries

    def __iter__(self) -> Iterator[str]:
        return iter(self._binaries)

    def __len__(self) -> int:
        return len(self._binaries)


def _entry(package: PipPackage, platform: Platform) -> str:
    return f"{package.sha256}-{platform}"


def open_library(reporter: Reporter) -> WheelLibrary:
    """Return the wheels of this machine's index, with its cache."""
    settings = read_settings()
    cache = Cache(settings.cache)
    client = Client(reporter)
    index = PackageIndex(settings.index_url, cache, client=client)
    return WheelLibrary(index, cache, client=client, reporter=reporter)
