"""Resolves the pip part of a cell with uv."""

from __future__ import annotations

import os
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.pylock import Package, PackageWheel, Pylock, PylockValidationError
from packaging.tags import Tag
from packaging.utils import BuildTag, InvalidWheelFilename, parse_wheel_filename

from metalock.adapters.files import naming
from metalock.adapters.proc import Completed, run
from metalock.adapters.settings import INDEX_HINT
from metalock.errors import FetchError, ToolError, UnsolvableError
from metalock.parsing import HUGE, parse_toml
from metalock.platforms import Platform
from metalock.progress import Reporter

if TYPE_CHECKING:
    from metalock.adapters.http import Client

INHERITED = (
    "PATH",
    "HOME",
    "USERPROFILE",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
    "NETRC",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSL_CLIENT_CERT",
    *(
        name
        for scheme in ("HTTP", "HTTPS", "ALL", "NO")
        for name in (f"{scheme}_PROXY", f"{scheme.lower()}_proxy")
    ),
    "UV_CACHE_DIR",
    "UV_OFFLINE",
    "UV_HTTP_TIMEOUT",
    "UV_HTTP_RETRIES",
    "UV_CONCURRENT_DOWNLOADS",
    "UV_SYSTEM_CERTS",
    "UV_NATIVE_TLS",
    "UV_KEYRING_PROVIDER",
    "UV_INSECURE_HOST",
)
"""The variables that uv receives: how to reach servers, and nothing that changes a resolution."""
_INDEX_FAILED = re.compile(
    r"error sending request|Failed to (?:fetch|download)|HTTP status|error decoding response body"
    r"|unexpected (?:JSON|HTML)|Hash mismatch|returned an? 403 |credentials \(401"
    r"|[Nn]etwork (?:connectivity is|was) disabled"
)
"""The texts of uv for an index that can't be reached, refuses, or sends what can't be used."""
RESOLVE_LIMIT = 900.0
"""Seconds for a resolution with all its downloads, which are of metadata."""

_FINDING = threading.Lock()
"""uv's search asks sysconfig, which up to Python 3.11 can't take two threads at first (cpython#92452)."""
DISK_FULL = re.compile(r"No space left on device|File too large|[Qq]uota exceeded")
DISK_HINT = (
    "Free some space or raise `ulimit -f`, or set UV_CACHE_DIR and METALOCK_CACHE_DIR "
    "to folders on another disk."
)
INSTALL_HINT = f"Run `{sys.executable} -m pip install uv`."


@dataclass(frozen=True, slots=True, kw_only=True)
class PipRequest:
    """All that a pip part is resolved from."""

    platform: Platform
    floor: str
    python: str
    """The full version of the interpreter, `3.11.15`."""
    exclude_newer: str
    requirements: Mapping[str, str]
    constraints: Mapping[str, str]
    """Name to specifier of what may be required, with exact versions of what conda installs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedWheel:
    """A wheel as the index offers it."""

    name: str
    version: str
    file: str
    sha256: str
    url: str
    size: int | None
    """Bytes, where the index says (PEP 700)."""


def uv_path() -> Path:
    """Return the uv that was installed with metalock, else the first on PATH; raise `ToolError` for none."""
    try:
        from uv import find_uv_bin
    except ImportError:
        import shutil

        found = shutil.which("uv")
        if found is None:
            raise ToolError("uv is not installed", hint=INSTALL_HINT) from None
        return Path(found)
    try:
        with _FINDING:
            return Path(find_uv_bin())
    except FileNotFoundError as error:
        raise ToolError(f"uv is not installed: {error}", hint=INSTALL_HINT) from None


def uv_environment(
    index_url: str | None, *, floor: str | None = None, environ: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return the whole environment of a uv run."""
    env = {name: environ[name] for name in INHERITED if name in environ}
    env |= {
        name: value
        for name, value in environ.items()
        if re.fullmatch(r"UV_INDEX_\w+_(?:USERNAME|PASSWORD)", name)
    }
    env |= {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1", "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}
    if "PIP_CERT" in environ:
        env.setdefault("SSL_CERT_FILE", environ["PIP_CERT"])
    if index_url is not None:
        env["UV_DEFAULT_INDEX"] = index_url
    if floor is not None:
        env["MACOSX_DEPLOYMENT_TARGET"] = floor
    return env


class PipResolver:
    """Resolves with uv: wheels only, for one Python, platform and floor, and nothing of this machine."""

    def __init__(self, index_url: str | None, reporter: Reporter | None = None) -> None:
        self._index_url = index_url
        self._reporter = reporter or Reporter()
        self._is_reported = False
        self._uv = uv_path()

    def resolve(
        self, request: PipRequest, preferences: Mapping[str, str], *, from_cache: bool = False
    ) -> tuple[ResolvedWheel, ...]:
        """Return the wheels, by name; versions in `preferences` are kept where they still fit.

        Raises `UnsolvableError` with uv's reasons, `FetchError` where the index fails, or with
        `from_cache` where uv's cache lacks something.
        """
        with tempfile.TemporaryDirectory(prefix="metalock-") as name, naming(Path(name)):
            folder = Path(name)
            (folder / "requirements.in").write_text(_lines(request.requirements), encoding="utf-8")
            (folder / "constraints.txt").write_text(_lines(request.constraints), encoding="utf-8")
            output = folder / "pylock.toml"
            if preferences:
                output.write_text(_preferences(preferences), encoding="utf-8")
            result = self._compile(request, folder, offline=from_cache)
            if result.code:
                raise uv_failure(result, "uv pip compile")
            return _parse_pylock(output.read_text(encoding="utf-8"), request)

    def _compile(self, request: PipRequest, folder: Path, *, offline: bool) -> Completed:
        args: list[str | Path] = [
            self._uv, "pip", "compile", "requirements.in",
            "--constraints", "constraints.txt",
            "--output-file", "pylock.toml",
            "--python", sys.executable,
            "--python-version", request.python,
            "--python-platform", request.platform.uv_target(request.floor),
            "--only-binary", ":all:",
            "--exclude-newer", request.exclude_newer,
            "--no-config", "--no-header", "--no-annotate", "--no-sources", "--quiet",
        ]  # fmt: skip
        if offline:
            args.append("--offline")
        floor = request.floor if request.platform.is_macos else None
        env = uv_environment(self._index_url, floor=floor)
        return run(args, env=env, cwd=folder, timeout=RESOLVE_LIMIT, report=self._report)

    def _report(self) -> None:
        """Report a long wait, once for all resolutions."""
        if not self._is_reported:
            self._is_reported = True
            self._reporter.note("waiting for uv, which reads the package index; Ctrl-C ends the run")


def _lines(requirements: Mapping[str, str]) -> str:
    return "".join(f"{name}{specifier}\n" for name, specifier in sorted(requirements.items()))


def _preferences(versions: Mapping[str, str]) -> str:
    """Return a PEP 751 file of versions alone: uv reads its output file and keeps to it."""
    entries = [
        f'[[packages]]\nname = "{name}"\nversion = "{version}"\n'
        for name, version in sorted(versions.items())
    ]
    return "\n".join(['lock-version = "1.0"\ncreated-by = "metalock"\n', *entries])


def uv_failure(
    result: Completed, command: str, folder: Path | None = None
) -> UnsolvableError | FetchError | ToolError:
    """Return the error that fits the text of uv's; `folder` is where it wrote."""
    text = result.stderr.strip().removeprefix("error: ")
    if DISK_FULL.search(text) or result.code == -signal.SIGXFSZ:
        place = folder or tempfile.gettempdir()
        return ToolError(
            f"no space for {place}, or for uv's cache: {text or 'file too large'}", hint=DISK_HINT
        )
    if _INDEX_FAILED.search(text):
        return FetchError(f"package index: {text}", hint=INDEX_HINT)
    if "No solution found" in text or "unsatisfiable" in text:
        return UnsolvableError(text)
    return ToolError(f"{command} ended with {result.code}: {text}")


def _parse_pylock(text: str, request: PipRequest) -> tuple[ResolvedWheel, ...]:
    """Return the packages of a PEP 751 file, each with the wheel that pip would take.

    Raises `ToolError` for a file that is not valid, or a package without a wheel that fits.
    """
    ranks = {
        tag: rank
        for rank, tag in reversed(list(enumerate(request.platform.wheel_tags(request.python, request.floor))))
    }
    try:
        lock = Pylock.from_dict(parse_toml(text))
    except (PylockValidationError, ValueError) as error:
        raise ToolError(f"uv wrote a pylock.toml that can't be read: {error}") from error
    wheels = [_best_wheel(package, ranks) for package in lock.packages]
    return tuple(sorted(wheels, key=lambda wheel: wheel.name))


def _best_wheel(package: Package, ranks: Mapping[Tag, int]) -> ResolvedWheel:
    """Return the wheel that pip takes: the best tag, then the highest build number."""
    fitting: list[tuple[tuple[int, BuildTag], PackageWheel]] = []
    for wheel in package.wheels or ():
        try:
            _, _, build, tags = parse_wheel_filename(wheel.filename)
        except InvalidWheelFilename:
            continue
        own = [ranks[tag] for tag in tags if tag in ranks]
        if own:
            fitting.append(((-min(own), build), wheel))
    if not fitting:
        raise ToolError(f"uv resolved {package.name} {package.version} without a wheel that fits")
    _, best = max(fitting, key=itemgetter(0))
    if not best.hashes.get("sha256"):
        raise FetchError(f"the index states no sha256 for {best.filename}, so it can't be locked")
    return ResolvedWheel(
        name=package.name,
        version=str(package.version),
        file=best.filename,
        sha256=best.hashes["sha256"],
        url=best.url or "",
        size=best.size if best.size is not None and 0 <= best.size < HUGE else None,
    )


def wheel_size(wheel: ResolvedWheel, client: Client) -> int:
    """Return the size in bytes, from the index or else from the file's server."""
    return client.content_length(wheel.url) if wheel.size is None else wheel.size
