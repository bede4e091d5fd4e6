"""Downloads that are resumed, and trusted for their hash alone."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from metalock.adapters.cache import disk_faults
from metalock.adapters.http import Client, IncompleteError
from metalock.adapters.waiting import pause
from metalock.errors import FetchError

CHUNK = 1 << 18
PARTIAL, RANGE_REFUSED = 206, 416
"""HTTP statuses."""
TRIES = 5
"""How often in a row a connection may end, or be silent, without a whole chunk."""
PAUSE = 0.5
"""Seconds before the next try, times the number of tries so far."""
LARGEST = 8 << 30
"""Bytes of a file whose size is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file on a server, and what it has to be."""

    url: str
    file: str
    sha256: str
    size: int
    """Bytes; 0 if it is not known."""


def fetch(
    wanted: Download,
    folder: Path,
    client: Client,
    *,
    checkpoint: Callable[[], None] = lambda: None,
    delay: float = PAUSE,
) -> Path:
    """Return the path of the file in `folder`, named by its hash; what is missing of it is fetched.

    Only a file with the right hash ever has that name; an incomplete one is called `.part`.
    `checkpoint` is called often and may raise, to stop.
    """
    path = folder / f"{wanted.sha256}.whl"
    with disk_faults(folder):
        part = folder / f"{wanted.sha256}.part"
        for file_path in (path, part):
            _drop_unusable(file_path, wanted.size or LARGEST)
        if path.exists():
            part = path
        with part.open("ab+") as file:
            transfer = _Transfer(wanted, file, client, checkpoint)
            try:
                transfer.finish(delay)
            except FetchError:
                if not file.tell():
                    part.unlink()
                raise
        part.rename(path)
    return path


def _drop_unusable(path: Path, size: int) -> None:
    """Remove what metalock has not written there: a link, a pipe, or a file that is too large."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode) or found.st_size > size:
        path.unlink()


class _Transfer:
    """A partial file and the running hash of it."""

    def __init__(
        self, wanted: Download, file: IO[bytes], client: Client, checkpoint: Callable[[], None]
    ) -> None:
        self._wanted = wanted
        self._file = file
        self._client = client
        self._checkpoint = checkpoint
        self._hash = hashlib.sha256()
        self._position = 0
        file.seek(0)
        while chunk := file.read(CHUNK):
            self._hash.update(chunk)
            self._position += len(chunk)
            checkpoint()

    def finish(self, delay: float) -> None:
        """Fetch the rest; if the hash is wrong and a part was there before, fetch all of it."""
        resumed = self._position > 0
        if not self._is_complete():
            self._receive(delay)
        if not self._is_right() and resumed:
            self._restart()
            self._receive(delay)
        if not self._is_right():
            self._restart()
            raise FetchError(
                f"{self._wanted.file}: sha256 is not the locked {self._wanted.sha256}",
                hint="The server sends another file than the one that was locked: do not install it.",
            )

    def _is_right(self) -> bool:
        return self._hash.hexdigest() == self._wanted.sha256

    def _is_complete(self) -> bool:
        """Return whether nothing is missing, without asking the server."""
        return self._position >= self._wanted.size > 0 or (self._position > 0 and self._is_right())

    def _restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._hash = hashlib.sha256()
        self._position = 0

    def _receive(self, delay: float) -> None:
        tries = 0
        while True:
            before = self._position
            try:
                self._receive_once()
            except IncompleteError:
                tries = 0 if self._position > before + CHUNK else tries + 1
                if tries == TRIES:
                    raise
                pause(delay * tries)
            else:
                return

    def _receive_once(self) -> None:
        headers = {"Accept-Encoding": "identity"}
        if self._position:
            headers["Range"] = f"bytes={self._position}-"
        with self._client.stream(self._wanted.url, headers=headers, accept=(RANGE_REFUSED,)) as answer:
            if answer.status == RANGE_REFUSED and self._position:
                return  # the part is not the start of that file: its hash will be wrong
            continues = answer.headers.get("Content-Range", "").startswith(f"bytes {self._position}-")
            if self._position and not (answer.status == PARTIAL and continues):
                self._restart()  # a server that does not know ranges sends all of it
            for chunk in answer.pieces(CHUNK):
                self._checkpoint()
                self._file.write(chunk)
                self._hash.update(chunk)
                self._position += len(chunk)
                if self._position > (self._wanted.size or LARGEST):
                    self._restart()
                    size = (
                        f"the {self._wanted.size} bytes locked" if self._wanted.size else f"{LARGEST} bytes"
                    )
                    raise FetchError(f"{self._wanted.file}: more than {size}")
