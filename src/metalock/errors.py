"""The errors that a person sees: each class owns its exit code."""

from __future__ import annotations

import re
from typing import ClassVar

_USERINFO = re.compile(r"(?<=://)[^/\s]+@")
_TOKEN = re.compile(r"(://[^\s?#]*?/t/)[^/\s]+")
"""Anaconda's servers take a token in the path."""


def redact(text: str) -> str:
    """The text without the credentials of any URL in it.

    >>> redact("GET https://me:secret@host/simple")
    'GET https://host/simple'
    >>> redact("https://host/t/tk-123/main")
    'https://host/t/***/main'
    """
    return _TOKEN.sub(r"\1***", _USERINFO.sub("", text))


class MetalockError(Exception):
    """Something could not be done; the command line prints it and exits with its code.

    Its message holds no credential, whatever text it is made from.
    Findings of a check are values, not errors: an error means that the job was not done.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(redact(message))
        self.hint = redact(hint) if hint else None


class UsageError(MetalockError):
    """The command was called in a way that can't be answered."""

    exit_code = 2


class MatrixError(MetalockError):
    """`matrix.toml` has faults; `faults` holds every one, each with its TOML path."""

    exit_code = 2

    def __init__(self, source: str, faults: tuple[str, ...]) -> None:
        count = f"{len(faults)} fault{'s' if len(faults) != 1 else ''}"
        super().__init__("\n".join([f"{source}: {count}", *(f"  {fault}" for fault in faults)]))
        self.faults = tuple(redact(fault) for fault in faults)


class UnsolvableError(MetalockError):
    """No set of packages satisfies the matrix for a cell."""

    exit_code = 3


class ToolError(MetalockError):
    """An engine or another outside program failed."""

    exit_code = 4


def file_error(error: OSError) -> ToolError:
    """What the system says of a file, where nobody knew more to say of it."""
    return ToolError(f"{error.filename or 'a file'}: {error.strerror or error}")


class FetchError(ToolError):
    """A server could not be reached, or what it sent can't be trusted."""


class NothingSelectedError(MetalockError):
    """The selection matches nothing, so nothing ran: never to be taken for success."""

    exit_code = 5


class UnreadableWheelError(ToolError):
    """A wheel is not what a wheel has to be, so nothing is known of it: never to be taken for clean."""

    def __init__(self, wheel: str, problem: str, *, member: str | None = None) -> None:
        place = wheel if member is None else f"{wheel}, member {member!r}"
        super().__init__(f"{place}: {problem}")
