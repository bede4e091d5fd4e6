"""What the cache keeps for builds: the wheels of conda's Python packages, and files that are as recorded."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import IO

from metalock.adapters.cache import Cache
from metalock.adapters.reading import DATA
from metalock.errors import FetchError, ToolError
from metalock.lock.model import Lock, PipPackage
from metalock.parsing import as_list, as_text, parse_json
from metalock.platforms import minor_of
from metalock.prefix.hashing import SoundFiles
from metalock.prefix.model import python_packages

SOUND = "sound-files"
_SHA256 = re.compile(r"[0-9a-f]{64}")
KEPT = 20_000
"""Digests, one for each distribution of each environment."""


def seed_wheels(lock: Lock, index_url: str | None, cache: Cache) -> list[PipPackage]:
    """Return the wheels that replace conda's Python packages in a venv: the same versions, from the index.

    Raises `ToolError` if the index does not have a package in that version.
    """
    seeds = []
    for name, package in python_packages(lock).items():
        entry = _entry(lock, name, package.version)
        known = _remembered(cache, entry)
        if known is None:
            known = _ask(lock, name, package.version, index_url)
            cache.write(entry, partial(_dump, json.dumps(known)))
        file, sha256 = known
        seeds.append(PipPackage(name=name, version=package.version, file=file, sha256=sha256, size=0))
    return seeds


def _remembered(cache: Cache, entry: str) -> tuple[str, str] | None:
    stored = cache.read(entry)
    if stored is None or len(stored) > DATA:
        return None
    try:
        file, sha256 = map(as_text, as_list(parse_json(stored)))
    except ValueError:
        return None
    return (file, sha256) if _SHA256.fullmatch(sha256) else None


def forget_seeds(lock: Lock, cache: Cache) -> None:
    """Remove the lock's entries, after a failure: the index may have answered wrongly when they were made."""
    for name, package in python_packages(lock).items():
        cache.discard(_entry(lock, name, package.version))


def _entry(lock: Lock, name: str, version: str) -> str:
    return f"seed-{name}-{version}-{lock.platform}-{minor_of(lock.python)}"


def _ask(lock: Lock, name: str, version: str, index_url: str | None) -> tuple[str, str]:
    """Return file and sha256 of the wheel that the index has; one for any platform before others."""
    from metalock.adapters.index import PackageIndex

    fitting = PackageIndex(index_url).fitting(
        name, f"=={version}", platform=lock.platform, python=minor_of(lock.python), floor=lock.floor
    )
    wheels = sorted(fitting, key=lambda wheel: (not wheel.file.endswith("-none-any.whl"), wheel.file))
    if not wheels:
        raise ToolError(
            f"{name} {version} comes from conda, and the index has no wheel of that version",
            hint="Use --backend conda, which installs it as it was locked.",
        )
    if wheels[0].sha256 is None:
        raise FetchError(f"the index states no sha256 for {wheels[0].file}, so it cannot be verified")
    return wheels[0].file, wheels[0].sha256


def recall(cache: Cache) -> SoundFiles:
    """Return the files that earlier checks found to be as recorded."""
    stored = cache.read(SOUND)
    if stored is None or len(stored) > DATA:
        return SoundFiles()
    return SoundFiles(dict.fromkeys(stored.decode("ascii", "replace").split()))


def remember(cache: Cache, sound: SoundFiles) -> None:
    """Store the files for the next check, if this one has read any."""
    if sound.learnt:
        text = "\n".join([*recall(cache).digests, *sound.digests][-KEPT:])
        cache.write(SOUND, partial(_dump, text))


def _dump(text: str, file: IO[bytes]) -> None:
    file.write(text.encode())
