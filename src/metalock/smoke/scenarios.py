"""Environments with a second install: the pip part of a lock, and on top of it what a user installs next."""

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
"""The arguments of `pip install --upgrade`, by the name of the scenario in a capability."""


def make_scenario(
    lock: Lock,
    interpreter: Path,
    scenario: str,
    folder: Path,
    *,
    exclude_newer: str,
    settings: Settings,
) -> Path:
    """Make a venv below `folder`, with the lock and then the scenario, and return its interpreter.

    `interpreter` is that of the environment under test, which is not changed. Nothing published after
    `exclude_newer` is considered. Raises `FetchError` if a server fails, `ToolError` if uv fails.
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
