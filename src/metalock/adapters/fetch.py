"""Downloads that go on where they broke off, and are trusted for their hash alone."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from metalock.adapters.cache import disk_faults
from metalock.adapters.http import BrokenOffError, chunks, get
from metalock.errors import FetchError

CHUNK = 1 << 18
PARTIAL, RANGE_REFUSED = 206, 416
"""HTTP statuses."""
TRIES = 5
"""How often a connection may break without bringing anything."""
PAUSE = 0.5
"""Seconds before going on, times the number of tries so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file on a server, and what it has to be."""

    url: str
    file: str
    sha256: str
    size: int
    """Bytes; 0 if it isn't known."""


def fetch(
    wanted: Download, folder: Path, *, checkpoint: Callable[[], None] = lambda: None, pause: float = PAUSE
) -> Path:
    """The file in `folder`, named by its hash, fetched as far as it isn't there.

    Only a file with the right hash ever has that name; what has come of one is beside it, as `.part`.
    `checkpoint` is called again and again and may raise, to stop.
    """
    path = folder / f"{wanted.sha256}.whl"
    with disk_faults(folder):
        part = path if path.exists() else folder / f"{wanted.sha256}.part"
        with part.open("ab+") as file:
            transfer = _Transfer(wanted, file, checkpoint)
            try:
                transfer.finish(pause)
            except FetchError:
                if not file.tell():
                    part.unlink()
                raise
        part.rename(path)
    return path


class _Transfer:
    """A partial file and the running hash of it."""

    def __init__(self, wanted: Download, file: IO[bytes], checkpoint: Callable[[], None]) -> None:
        self._wanted = wanted
        self._file = file
        self._checkpoint = checkpoint
        self._hash = hashlib.sha256()
        self._position = 0
        file.seek(0)
        while chunk := file.read(CHUNK):
            self._hash.update(chunk)
            self._position += len(chunk)
            checkpoint()

    def finish(self, pause: float) -> None:
        """Bring the rest; if the whole is wrong and not all of it is new, once more from the start."""
        resumed = self._position > 0
        if not self._complete():
            self._receive(pause)
        if not self._right() and resumed:
            self._restart()
            self._receive(pause)
        if not self._right():
            self._restart()
            raise FetchError(
                f"{self._wanted.file}: sha256 is not the locked {self._wanted.sha256}",
                hint="the server sends another file than the one that was locked: don't install it",
            )

    def _right(self) -> bool:
        return self._hash.hexdigest() == self._wanted.sha256

    def _complete(self) -> bool:
        """Whether nothing is to come, without asking the server."""
        return self._position >= self._wanted.size > 0 or (self._position > 0 and self._right())

    def _restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._hash = hashlib.sha256()
        self._position = 0

    def _receive(self, pause: float) -> None:
        tries = 0
        while True:
            before = self._position
            try:
                self._receive_once()
            except BrokenOffError:
                tries = 0 if self._position > before + CHUNK else tries + 1
                if tries == TRIES:
                    raise
                time.sleep(pause * tries)
            else:
                return

    def _receive_once(self) -> None:
        headers = {"Accept-Encoding": "identity"}
        if self._position:
            headers["Range"] = f"bytes={self._position}-"
        with get(self._wanted.url, headers=headers, stream=True, accept=(RANGE_REFUSED,)) as response:
            if response.status_code == RANGE_REFUSED and self._position:
                return  # what is here can't be the start of that file: its hash will tell
            goes_on = response.headers.get("Content-Range", "").startswith(f"bytes {self._position}-")
            if self._position and not (response.status_code == PARTIAL and goes_on):
                self._restart()  # a server that doesn't know ranges sends all of it
            for chunk in chunks(response, CHUNK):
                self._checkpoint()
                self._file.write(chunk)
                self._hash.update(chunk)
                self._position += len(chunk)
                if self._position > self._wanted.size > 0:
                    self._restart()
                    raise FetchError(f"{self._wanted.file}: more than the {self._wanted.size} bytes locked")
