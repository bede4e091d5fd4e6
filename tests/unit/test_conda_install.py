"""Downloads of conda packages that hardly come count as silent."""

from __future__ import annotations

from metalock.adapters.conda_install import LEAST, SILENCE, _Watcher
from metalock.progress import Reporter


def is_silent(watcher: _Watcher) -> bool:
    return watcher.is_silent


def test_a_few_bytes_do_not_end_the_silence() -> None:
    watcher = _Watcher(Reporter(), {})
    watcher.on_download_start(1)
    watcher.on_download_start(2)
    assert not is_silent(watcher)
    watcher.last_word -= SILENCE + 1
    for received in range(LEAST // 2):
        watcher.on_download_progress(1, received, None)
        watcher.on_download_progress(2, received, None)
    assert is_silent(watcher)
    watcher.on_download_progress(2, LEAST, None)
    assert not is_silent(watcher)
    watcher.last_word -= SILENCE + 1
    assert is_silent(watcher)
    watcher.on_download_completed(1)
    assert not is_silent(watcher), "the time of the other one starts again"
    watcher.on_download_completed(2)
    watcher.last_word -= SILENCE + 1
    assert not is_silent(watcher), "nothing is downloaded any more"
