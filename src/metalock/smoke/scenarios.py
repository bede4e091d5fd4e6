"""Environments after a second install: a lock's pip part, and on top of it what a person installs next."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from metalock.adapters.settings import Settings
from metalock.adapters.uv_install import install_on_top
from metalock.lock.model import Lock
from metalock.prefix.build import build
from metalock.prefix.model import Backend, BuildRequest
from metalock.progress import Reporter

SCENARIOS: Mapping[str, tuple[str, ...]] = {
    "pandas": ("pandas",),
    "newest-numpy": ("numpy",),
    "newest-keras": ("keras",),
}
"""What `pip install --upgrade` is given, by the name that a capability has in `scenario`."""


def make_scenario(
    lock: Lock,
    interpreter: Path,
    scenario: str,
    folder: Path,
    *,
    exclude_newer: str,
    settings: Settings,
) -> Path:
    """A venv of its own below `folder`, of the lock first and then the scenario; its interpreter comes back.

    `interpreter` is that of the environment under test, which stays as it is. Nothing published after
    `exclude_newer` is considered. Raises `FetchError` where a server fails, `ToolError` if uv can't do it.
    """
    prefix = folder / scenario
    built = build(
        BuildRequest(
            lock=lock,
            env=scenario,
            prefix=prefix,
            backend=Backend.VENV,
            python=interpreter,
        ),
        settings,
        Reporter(),
    )
    install_on_top(
        SCENARIOS[scenario],
        built.python,
        prefix=prefix,
        index_url=settings.index_url,
        exclude_newer=exclude_newer,
    )
    return built.python
