"""Making an environment from its lock: all of it, checked, or nothing."""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from metalock.adapters.building import (
    discard,
    is_half_built,
    is_vacant,
    require_writable,
    sweep,
    under_construction,
)
from metalock.adapters.cache import Cache
from metalock.adapters.conda_install import install_conda, write_variables
from metalock.adapters.files import only_one_run
from metalock.adapters.settings import Settings
from metalock.adapters.uv_install import install_wheels, make_venv, read_interpreter
from metalock.errors import FetchError, ToolError, UsageError
from metalock.findings import CheckRule, Finding
from metalock.lock.model import PipPackage
from metalock.platforms import minor_of, parse_release
from metalock.prefix.check import check_prefix
from metalock.prefix.model import Backend, BuildRequest, Built
from metalock.prefix.read import backend_of, python_of, read_prefix
from metalock.prefix.seeds import forget_seeds, recall, remember, seed_wheels
from metalock.progress import Reporter

HEARTBEAT = 15.0
"""Seconds after which a note says that an engine is still at work."""
SHOWN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Site:
    """The values that each step of a build needs."""

    request: BuildRequest
    settings: Settings
    cache: Cache
    reporter: Reporter
    held: int
    """See `under_construction`."""


def build(request: BuildRequest, settings: Settings, reporter: Reporter) -> Built:
    """Make the environment unless it exists; a prefix that fails is removed.

    Raises `UsageError` for a prefix or an interpreter that cannot be used, `FetchError` for a server that
    fails or has other files than were locked, `ToolError` if the result differs from the lock.
    """
    start = time.perf_counter()
    if request.backend is Backend.VENV:
        _require_interpreter(request)
    cache = Cache(settings.cache)
    cache.prepare()
    prefix = request.prefix
    with _alone(request, reporter):
        sweep(prefix)
        if is_half_built(prefix):
            reporter.note(f"{prefix} was left incomplete by an interrupted build: building it again")
            discard(prefix, reporter.note)
        is_new = is_vacant(prefix)
        if is_new:
            _make(request, settings, cache, reporter)
        else:
            _require_same(request, cache)
    return Built(
        prefix=prefix,
        python=python_of(prefix),
        backend=request.backend,
        seconds=time.perf_counter() - start,
        interpreter=read_prefix(prefix).python or request.lock.python,
        is_new=is_new,
    )


@contextmanager
def _alone(request: BuildRequest, reporter: Reporter) -> Iterator[None]:
    prefix = request.prefix
    try:
        require_writable(prefix.parent)
        with only_one_run(prefix.with_name(f".{prefix.name}.lock"), reporter.note):
            yield
    except OSError as error:
        raise ToolError(
            f"{prefix} cannot be made: {error.strerror or error}",
            hint="Name another folder with --prefix DIR.",
        ) from None


def _require_interpreter(request: BuildRequest) -> None:
    minor = minor_of(request.lock.python)
    if request.python is None:
        raise UsageError(
            "a venv needs an interpreter of this machine",
            hint=f"Name one of Python {minor} with --python PATH, or use --backend conda.",
        )
    interpreter = read_interpreter(request.python)
    if parse_release(interpreter.version) != parse_release(request.lock.python):
        raise UsageError(
            f"{interpreter.path} is Python {interpreter.version}, {request.env} needs {minor}",
            hint=f"Name one of Python {minor} with --python PATH.",
        )


def _require_same(request: BuildRequest, cache: Cache) -> None:
    """Raise `UsageError` if the folder holds anything but this environment as locked."""
    prefix = request.prefix
    hint = f"Remove it (rm -r {shlex.quote(str(prefix))}), or name another folder with --prefix."
    if not prefix.is_dir():
        raise UsageError(f"{prefix} is a file", hint=hint)
    try:
        backend = backend_of(prefix)
    except UsageError:
        raise UsageError(f"{prefix} holds other files, and nothing is overwritten", hint=hint) from None
    if backend is not request.backend:
        raise UsageError(f"{prefix} holds an environment of the backend {backend}", hint=hint)
    findings = _check(request, cache)
    if findings:
        raise UsageError(
            f"{prefix} holds an environment that is not {request.env} as locked\n{_lines(findings)}",
            hint=hint,
        )


def _make(request: BuildRequest, settings: Settings, cache: Cache, reporter: Reporter) -> None:
    try:
        with under_construction(request.prefix) as held:
            site = _Site(request=request, settings=settings, cache=cache, reporter=reporter, held=held)
            _BACKENDS[request.backend](site)
            _require_sound(site)
    except BaseException:
        if request.keep_failed:
            reporter.note(f"kept as it is: {request.prefix}")
        else:
            discard(request.prefix, reporter.note)
        raise


def _venv(site: _Site) -> None:
    request = site.request
    assert request.python is not None  # noqa: S101 - `build` has checked it
    if request.variables:
        site.reporter.note(f"a venv sets no variables, set them yourself: {', '.join(request.variables)}")
    make_venv(request.python, request.prefix, prompt=request.env, keep_open=site.held)
    seeds = seed_wheels(request.lock, site.settings.index_url, site.cache)
    try:
        _pip_part(site, [*request.lock.pip, *seeds])
    except FetchError:
        forget_seeds(request.lock, site.cache)
        raise


def _require_sound(site: _Site) -> None:
    with stretch(site.reporter, "checking the files against the lock"):
        findings = _check(site.request, site.cache)
    if findings:
        raise ToolError(f"{site.request.prefix} is not what was locked\n{_lines(findings)}")


def _conda(site: _Site) -> None:
    request = site.request
    with stretch(site.reporter, "conda part", is_noted=False):
        install_conda(
            request.lock.conda,
            request.prefix,
            settings=site.settings,
            cache=site.settings.cache / "pkgs",
            reporter=site.reporter,
        )
    if request.variables:
        write_variables(request.prefix, request.variables)
    _pip_part(site, list(request.lock.pip))


def _pip_part(site: _Site, wheels: list[PipPackage]) -> None:
    size = sum(wheel.size for wheel in wheels) / 1e6
    with stretch(
        site.reporter, f"pip part: {len(wheels)} wheels, {size:.0f} MB, less if uv's cache has some"
    ):
        install_wheels(
            wheels,
            python_of(site.request.prefix),
            prefix=site.request.prefix,
            index_url=site.settings.index_url,
            keep_open=site.held,
        )


_BACKENDS: dict[Backend, Callable[[_Site], None]] = {Backend.CONDA: _conda, Backend.VENV: _venv}


def _check(request: BuildRequest, cache: Cache) -> list[Finding]:
    """Return the findings of a check that does not read again what earlier builds share by uv's cache."""
    sound = recall(cache)
    findings = check_prefix(request.lock, request.prefix, records=request.records, sound=sound)
    remember(cache, sound)
    return [finding for finding in findings if finding.rule is not CheckRule.HALF_BUILT]


def _lines(findings: list[Finding]) -> str:
    more = [f"  and {len(findings) - SHOWN} more"] if len(findings) > SHOWN else []
    return "\n".join([*(f"  {finding.to_text()}" for finding in findings[:SHOWN]), *more])


@contextmanager
def stretch(reporter: Reporter, label: str, *, is_noted: bool = True) -> Iterator[None]:
    """Note the start of a step, and every `HEARTBEAT` seconds that it is still at work."""
    start = time.monotonic()
    over = threading.Event()

    def beat() -> None:
        while not over.wait(HEARTBEAT):
            reporter.note(f"{label}: at work for {time.monotonic() - start:.0f} s")

    if is_noted:
        reporter.note(label)
    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
