"""The errors that are shown to users: each class has an exit code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

FAULT_OF_METALOCK = 70
"""Exit code for an exception that nothing expected (EX_SOFTWARE of sysexits.h)."""
INTERRUPTED = 130
"""Exit code after Ctrl-C or SIGTERM, as shells report a process that SIGINT ended."""
OUTPUT_CLOSED = 141
"""Exit code where nobody reads the output any more, as shells report a process that SIGPIPE ended."""

_SLASH = r"(?:\\?/|%(?:25)*2F)"
_SCHEME = rf"[a-z][a-z0-9+.-]{{0,20}}(?::|%(?:25)*3A){_SLASH}{{2}}"
_URL = re.compile(
    rf"(?P<scheme>{_SCHEME}|\burl: (?=/))(?P<rest>(?:(?!,{_SCHEME})[^\s\"'<>`])+)", re.IGNORECASE
)
"""A URL, also percent-encoded or in JSON, or the path that urllib3 writes after "url: "."""
_BARE_USERINFO = re.compile(r"(?<![^\s\"'(=/])[^\s/:@\"'(=]{1,200}:[^\s/@\"']{1,200}@(?=[\w.-])")
"""User and password without a scheme, as proxies may be given."""
_QUERY = re.compile(r"(?P<start>\?|;(?=\w+=)|%(?:25)*3F)(?P<query>[^#]*)", re.IGNORECASE)
_VALUE = re.compile(r"(?P<name>[^=&;%]*(?:=|%(?:25)*3D))?[^&;]+", re.IGNORECASE)
_TOKEN = re.compile(rf"((?P<slash>{_SLASH})t(?P=slash))(?:(?!(?P=slash))[^?#,;)\]])+", re.IGNORECASE)
"""Servers of conda channels take a token in the path."""
_AUTHORITY = re.compile(rf"(?:(?!{_SLASH})[^?#])*", re.IGNORECASE)
_USERINFO = re.compile(r".*(?:@|%(?:25)*40)", re.IGNORECASE)
_HOST = re.compile(r"(?:\[[^\]]*\]|[^:%]*)(?::\d*)?")


def redact(text: str) -> str:
    """Return the text without the credentials of any URL in it: user and password, token, values of a query.

    >>> redact("GET https://me:secret@host/simple")
    'GET https://host/simple'
    >>> redact("https://host/t/tk-123/main")
    'https://host/t/***/main'
    >>> redact("https://host/a.whl?token=tk-123&v=1#sha256=00")
    'https://host/a.whl?token=***&v=***#sha256=00'
    """
    return _BARE_USERINFO.sub("", _URL.sub(_redact_url, text))


def _redact_url(match: re.Match[str]) -> str:
    scheme, rest = match["scheme"], match["rest"]
    if not scheme.startswith("url: "):
        rest = _without_userinfo(rest)
    return scheme + _QUERY.sub(_redact_query, _TOKEN.sub(r"\1***", rest))


def _without_userinfo(rest: str) -> str:
    """Return what follows the `//` of a URL without user and password, even if a slash is in the password."""
    authority = _AUTHORITY.match(rest)
    end = authority.end() if authority else 0
    found = _USERINFO.match(rest, 0, end)
    if found is None and not _HOST.fullmatch(rest, 0, end):
        found = _USERINFO.match(rest)
    return rest[found.end() :] if found else rest


def _redact_query(match: re.Match[str]) -> str:
    query = match["query"].rstrip(").,:]}")  # these belong to the sentence
    after = match["query"][len(query) :]
    return match["start"] + _VALUE.sub(lambda value: f"{value['name'] or ''}***", query) + after


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
    """The command can't do anything with these arguments or files."""

    exit_code = 2


class UnreadableFileError(UsageError):
    """A file is missing, not a regular file, too large, or not text."""

    def __init__(self, path: Path, problem: str, *, is_missing: bool = False) -> None:
        super().__init__(f"{path} does not exist" if is_missing else f"{path} cannot be read: {problem}")
        self.problem = problem
        self.is_missing = is_missing


class FaultyFileError(MetalockError):
    """A file has faults; `faults` holds every one, each with its TOML path."""

    exit_code = 2

    def __init__(self, source: str, faults: tuple[str, ...]) -> None:
        count = f"{len(faults)} fault{'s' if len(faults) != 1 else ''}"
        super().__init__("\n".join([f"{source}: {count}", *(f"  {fault}" for fault in faults)]))
        self.faults = tuple(redact(fault) for fault in faults)


class MatrixError(FaultyFileError):
    """`matrix.toml` has faults."""


class DataFileError(FaultyFileError):
    """A data file of metalock itself has faults: a capability file, or the questions."""


class UnsolvableError(MetalockError):
    """No set of packages satisfies the matrix for a cell."""

    exit_code = 3


class ToolError(MetalockError):
    """An engine or another outside program failed."""

    exit_code = 4


def file_error(error: OSError) -> ToolError:
    """Return the error of the operating system as one that names the file."""
    if error.args and isinstance(error.args[0], list):  # `shutil.copytree` collects them: (from, to, why)
        path, _, problem = error.args[0][0]
        return ToolError(f"{path}: {problem}")
    problem = error.strerror or str(error)
    if error.filename is None:
        return ToolError(problem, hint="The system did not name a file; `metalock --debug` shows the place.")
    return ToolError(f"{error.filename}: {problem}")


class FetchError(ToolError):
    """A server could not be reached, or its answer can't be trusted."""


class NothingSelectedError(MetalockError):
    """The selection matches nothing, so nothing ran; this must not look like success."""

    exit_code = 5


class UnreadableWheelError(ToolError):
    """A wheel has faults that prevent reading it; this must not look like a clean wheel."""

    def __init__(self, wheel: str, problem: str, *, member: str | None = None) -> None:
        place = wheel if member is None else f"{wheel}, member {member!r}"
        super().__init__(f"{place}: {problem}")
