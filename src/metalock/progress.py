"""How long work reports its progress, without knowing who listens."""

from __future__ import annotations


class Reporter:
    """Hooks that do nothing; the command line supplies a reporter that prints.

    Called from worker threads, so an implementation must be thread-safe.
    """

    def start(self, label: str, total: int) -> None:
        """Begin a series of `total` steps."""

    def advance(self, item: str, outcome: str = "") -> None:
        """Finish one step; without an outcome it only moves the count."""

    def finish(self) -> None:
        """End the series, whether complete or not."""

    def note(self, text: str) -> None:
        """Show one line to the user."""
