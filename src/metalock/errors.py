"""The errors that a person sees: each class owns its exit code."""

from __future__ import annotations

from typing import ClassVar


class MetalockError(Exception):
    """Something could not be done; the command line prints it and exits with its code.

    Findings of a check are values, not errors: an error means that the job was not done.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(MetalockError):
    """The command was called in a way that can't be answered."""

    exit_code = 2


class MatrixError(MetalockError):
    """`matrix.toml` has faults; `faults` holds every one, each with its TOML path."""

    exit_code = 2

    def __init__(self, source: str, faults: tuple[str, ...]) -> None:
        count = f"{len(faults)} fault{'s' if len(faults) != 1 else ''}"
        super().__init__("\n".join([f"{source}: {count}", *(f"  {fault}" for fault in faults)]))
        self.faults = faults


class UnsolvableError(MetalockError):
    """No set of packages satisfies the matrix for a cell."""

    exit_code = 3


class ToolError(MetalockError):
    """An engine or another outside program failed."""

    exit_code = 4


class FetchError(ToolError):
    """A server could not be reached, or what it sent can't be trusted."""


class NothingSelectedError(MetalockError):
    """The selection matches nothing, so nothing ran: never to be taken for success."""

    exit_code = 5
