"""How long work tells what it does, without knowing who listens."""

from __future__ import annotations


class Reporter:
    """Hooks that do nothing; the command line supplies one that talks.

    Called from worker threads, so an implementation must be thread-safe.
    """

    def start(self, label: str, total: int) -> None:
        """Begin a stretch of `total` steps."""

    def advance(self, item: str, outcome: str = "") -> None:
        """Finish one step; without an outcome it only moves the count."""

    def finish(self) -> None:
        """End the stretch, whether complete or not."""

    def note(self, text: str) -> None:
        """Say one line that a person should see."""
