"""The grid from the index: choose wheels, read them, compare."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from packaging.utils import canonicalize_name, parse_wheel_filename

from metalock.adapters.cache import Cache
from metalock.adapters.http import Client
from metalock.adapters.index import IndexWheel, PackageIndex
from metalock.adapters.settings import read_settings
from metalock.audit.case import PLUGINS
from metalock.audit.facts import WheelFacts
from metalock.audit.grid import GridEntry, Pair, compare, pairs, releases
from metalock.audit.wheel_cache import WheelLibrary
from metalock.errors import FetchError, MetalockError, NothingSelectedError, UsageError
from metalock.faults import did_you_mean
from metalock.lock.model import PipPackage
from metalock.matrix.model import TENSORFLOW_DISTRIBUTIONS
from metalock.platforms import Platform
from metalock.progress import Reporter

READERS = 8
"""Pages, and then sizes, asked at once."""


def make_grid(
    plugin: str, platform: Platform, reporter: Reporter, *, only: Callable[[Pair], bool] = lambda _: True
) -> list[GridEntry]:
    """Return the entries of all pairs, or of `only` some, oldest TensorFlow first.

    Raises `UsageError` for what is not a plugin.
    """
    settings = read_settings()
    cache = Cache(settings.cache)
    client = Client(reporter)
    index = PackageIndex(settings.index_url, cache, client=client)
    grid = [pair for pair in choose_pairs(plugin, platform, index) if only(pair)]
    if not grid:
        raise NothingSelectedError(
            f"nothing to compare: the index has no {plugin}, or no TensorFlow for {platform}"
        )
    library = WheelLibrary(index, cache, client=client, reporter=reporter)
    answers = read_pairs(grid, platform, library)
    facts = {file: answer for file, answer in answers.items() if isinstance(answer, WheelFacts)}
    for file in sorted(answers.keys() - facts.keys()):
        reporter.note(f"{file}: {answers[file]}")
    return [entry for pair in grid for entry in compare(pair, platform, facts)]


def choose_pairs(plugin: str, platform: Platform, index: PackageIndex) -> list[Pair]:
    """Return what the index offers to compare."""
    name = canonicalize_name(plugin)
    if name not in PLUGINS:
        guess = did_you_mean(name, PLUGINS) or f"; expected one of {', '.join(PLUGINS)}"
        raise UsageError(f"{plugin!r} is not a plugin of TensorFlow{guess}")
    names = (*TENSORFLOW_DISTRIBUTIONS, name)
    with ThreadPoolExecutor(READERS) as pool:
        pages = list(pool.map(index.wheels, names))
    found = {name: releases(name, page.values(), platform) for name, page in zip(names, pages, strict=True)}
    plugins = found.pop(name)
    return list(pairs([release for offered in found.values() for release in offered], plugins))


def read_pairs(
    grid: Iterable[Pair], platform: Platform, library: WheelLibrary
) -> dict[str, WheelFacts | MetalockError]:
    """Return what the library knows of every wheel of the pairs, by file."""
    wanted = {wheel.file: wheel for pair in grid for wheel in pair.wheels_to_read()}
    with ThreadPoolExecutor(READERS) as pool:
        packages = list(pool.map(lambda wheel: _package(wheel, library, platform), wanted.values()))
    return {package.file: answer for package, answer in library.facts(packages, platform)}


def _package(wheel: IndexWheel, library: WheelLibrary, platform: Platform) -> PipPackage:
    """Return the wheel as a lock would name it; its size is asked for only where it has to be fetched."""
    name, version, _, _ = parse_wheel_filename(wheel.file)
    if wheel.sha256 is None:
        raise FetchError(f"{wheel.file}: the package index states no sha256, so it can't be trusted")
    package = PipPackage(name=name, version=str(version), file=wheel.file, sha256=wheel.sha256, size=0)
    if library.knows(package, platform):
        return package
    return replace(package, size=library.client.content_length(wheel.url))
