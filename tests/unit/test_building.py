"""adapters/building: nobody removes a folder while a program of an earlier build writes there."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from threading import Event, Thread

from metalock.adapters.building import MARKER, discard, under_construction


def start_discarding(prefix: Path) -> tuple[Thread, Event, list[str]]:
    """Start `discard` in a thread; the event is set when it reports that it waits."""
    waits, said = Event(), list[str]()

    def waiting(text: str) -> None:
        said.append(text)
        waits.set()

    thread = Thread(target=discard, args=(prefix, waiting), daemon=True)
    thread.start()
    return thread, waits, said


def test_removal_waits_for_the_writers_of_a_killed_build(tmp_path: Path) -> None:
    prefix = tmp_path / "it"
    (prefix / "lib").mkdir(parents=True)
    writer = os.open(prefix / MARKER, os.O_CREAT | os.O_RDWR)  # as a program that the build started holds it
    try:
        fcntl.flock(writer, fcntl.LOCK_EX)
        thread, waits, said = start_discarding(prefix)
        assert waits.wait(10)
        thread.join(0.3)
        assert thread.is_alive(), "it has to wait, not only to say so"
        assert (prefix / "lib").exists()
        assert len(said) == 1
        assert str(prefix) in said[0]
    finally:
        os.close(writer)
    thread.join(20)
    assert not prefix.exists()


def test_a_build_holds_its_folder_until_it_ends(tmp_path: Path) -> None:
    prefix = tmp_path / "it"
    with under_construction(prefix):
        thread, waits, _ = start_discarding(prefix)
        assert waits.wait(10)
        thread.join(0.3)
        assert thread.is_alive()
        assert prefix.exists()
    thread.join(20)
    assert not prefix.exists()
