"""The single values of `matrix.toml`: each reader returns a checked value, or notes a fault."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version

from metalock.faults import Faults, describe, join
from metalock.matrix.model import COLUMNS, Choice
from metalock.platforms import Platform, parse_release

PYTHON = re.compile(r"3\.(?:[89]|[1-9][0-9])")
CHANNEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(?:[./][A-Za-z0-9_-]+)*")
CHANNEL_URL = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]+)?(?:/[A-Za-z0-9_-][A-Za-z0-9._~-]*)+/?")
CONDA_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,63}")
_CONDA_CLAUSE = r"(?:(?:==?|!=|~=|[<>]=?)?[0-9][0-9A-Za-z._+!*]*)"
CONDA_SPEC = re.compile(rf"\*|{_CONDA_CLAUSE}(?:[,|]{_CONDA_CLAUSE})*")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
VARIABLE_VALUE = re.compile(r"[A-Za-z0-9 _.,:;/=+@%-]*")


@lru_cache(maxsize=4096)
def normal_specifier(text: str) -> str:
    """Return a PEP 440 specifier with sorted clauses; a bare version or `2.18.*` means `==`, `*` any.

    Raises `InvalidSpecifier`.

    >>> normal_specifier("2.18.*"), normal_specifier(">=1.26, <2"), normal_specifier("*")
    ('==2.18.*', '<2,>=1.26', '')
    """
    text = text.strip()
    if text == "*":
        return ""
    try:
        Version(text.removesuffix(".*"))
    except InvalidVersion:
        clauses = sorted(str(clause) for clause in SpecifierSet(text))
        if not clauses or any(clause.startswith("===") for clause in clauses):
            raise InvalidSpecifier(text) from None
        return ",".join(clauses)
    return str(SpecifierSet(f"=={text}"))  # refuses `2.18rc1.*`: a pre-release takes no `.*`


def read_specifier(faults: Faults, value: object, path: str) -> str | None:
    """Return a normalised version specifier; it is empty for any version."""
    text = faults.of_kind(value, path, str)
    if text is None:
        return None
    try:
        return normal_specifier(text)
    except InvalidSpecifier:
        faults.add(
            path, f'expected a version or PEP 440 specifier such as ">=1.26,<2", found {describe(value)}'
        )
        return None


def read_reason(faults: Faults, value: object, path: str) -> str | None:
    """Return a sentence for people, of one line, since it is shown in tables."""
    text = faults.of_kind(value, path, str)
    if text is not None and (not text.strip() or not text.isprintable()):
        faults.add(path, "expected the reason as one line of text")
        return None
    return text


def read_pip_name(faults: Faults, value: object, path: str) -> str | None:
    """Return the name of a distribution in the form of PEP 503."""
    text = faults.of_kind(value, path, str)
    if text is None:
        return None
    try:
        return str(canonicalize_name(text, validate=True))
    except InvalidName:
        faults.add(path, f"expected the name of a Python distribution, found {describe(value)}")
        return None


def read_pip_packages(faults: Faults, value: object, path: str) -> dict[str, str]:
    """Return specifiers by the names of distributions."""
    packages = {}
    for key, spec in (faults.of_kind(value, path, dict) or {}).items():
        name = read_pip_name(faults, key, join(path, key))
        specifier = read_specifier(faults, spec, join(path, key))
        if name in COLUMNS:
            faults.add(join(path, key), "a column; expected in a stack, not in packages")
        elif name in packages:
            faults.add(join(path, key), f"{name} is named twice")
        elif name is not None and specifier is not None:
            packages[name] = specifier
    return packages


def read_conda_packages(faults: Faults, value: object, path: str) -> dict[str, str]:
    """Return version specs (CEP 29) by the names of conda packages."""
    packages = {}
    for name, spec in (faults.of_kind(value, path, dict) or {}).items():
        where = join(path, name)
        if not CONDA_NAME.fullmatch(name):
            faults.add(where, "expected the name of a conda package, in lower case")
        elif name == "python":
            faults.add(where, "expected as `python` of each stack")
        elif faults.of_kind(spec, where, str) is not None:
            if CONDA_SPEC.fullmatch(spec):
                packages[name] = spec
            else:
                faults.add(
                    where, f'expected a conda version spec such as ">=70,<81" or "*", found {describe(spec)}'
                )
    return dict(sorted(packages.items()))


def read_channel(faults: Faults, value: object, path: str) -> str | None:
    """Return a channel's name or URL; credentials in it are a fault."""
    text = faults.of_kind(value, path, str)
    if text is None:
        return None
    if "@" in text or "/t/" in text:
        faults.add(path, "a URL with credentials; keep those in your conda settings")
    elif not CHANNEL_NAME.fullmatch(text) and not CHANNEL_URL.fullmatch(text):
        faults.add(path, f"expected a channel's name or http(s) URL, found {describe(text)}")
    return text.rstrip("/")


def read_pythons(faults: Faults, value: object, path: str) -> tuple[str, ...]:
    """Return Python minor versions, ascending."""
    items = faults.of_kind(value, path, list)
    if items is None:
        return ()
    found = []
    for index, item in enumerate(items):
        where = join(path, index)
        version = faults.of_kind(item, where, str)
        if version is None:
            continue
        if not PYTHON.fullmatch(version):
            faults.add(where, f'expected a Python such as "3.11", found {describe(version)}')
        elif version in found:
            faults.add(where, f"{version} is named twice")
        else:
            found.append(version)
    if not items:
        faults.add(path, 'expected at least one Python, such as ["3.11"]')
    return tuple(sorted(found, key=parse_release))


def read_variables(faults: Faults, value: object, path: str) -> dict[str, str]:
    """Return environment variables; values that a shell or YAML would interpret are a fault."""
    variables = {}
    for name, text in (faults.of_kind(value, path, dict) or {}).items():
        where = join(path, name)
        if not VARIABLE.fullmatch(name):
            faults.add(where, "expected the name of an environment variable")
        if faults.of_kind(text, where, str) is None:
            continue
        if VARIABLE_VALUE.fullmatch(text):
            variables[name] = text
        else:
            faults.add(where, "expected letters, digits, spaces and _.,:;/=+@%- only")
    return dict(sorted(variables.items()))


def read_floor(faults: Faults, value: object, path: str, platform: Platform) -> str | None:
    """Return the oldest macOS, or glibc, that the environments support."""
    text = faults.of_kind(value, path, str)
    if text is not None and (fault := platform.floor_fault(text)):
        faults.add(path, f"{fault}, found {describe(text)}")
    return text


def read_column(faults: Faults, value: object, path: str) -> tuple[Choice, ...]:
    """Return the choices of a specifier, a table, or an array whose first table for a Python counts."""
    if isinstance(value, str):
        specifier = read_specifier(faults, value, path)
        return () if specifier is None else (Choice(specifier=specifier),)
    if isinstance(value, list):
        if not value:
            faults.add(path, "expected at least one table in the array")
        choices = [_read_choice(faults, item, join(path, i), ("python",)) for i, item in enumerate(value)]
        return tuple(choice for choice in choices if choice)
    if isinstance(value, dict):
        choice = _read_choice(faults, value, path, ())
        return (choice,) if choice else ()
    faults.add(
        path, f'expected a version, or {{ version = "…", unavailable = "…" }}, found {describe(value)}'
    )
    return ()


def _read_choice(faults: Faults, value: object, path: str, required: tuple[str, ...]) -> Choice | None:
    table = faults.of_kind(value, path, dict)
    if table is None:
        return None
    faults.unknown_keys(table, path, ("python", "version", "unavailable", "watch"))
    for key in (*required, "version"):
        if key not in table:
            faults.add(join(path, key), "missing")
    specifier = (
        read_specifier(faults, table["version"], join(path, "version")) if "version" in table else None
    )
    python = read_specifier(faults, table["python"], join(path, "python")) if "python" in table else None
    reason = (
        read_reason(faults, table["unavailable"], join(path, "unavailable"))
        if "unavailable" in table
        else None
    )
    watch = _read_watch(faults, table["watch"], join(path, "watch")) if "watch" in table else None
    if "watch" in table and "unavailable" not in table:
        faults.add(join(path, "watch"), "expected together with `unavailable`")
    if specifier is None:
        return None
    return Choice(
        specifier=specifier,
        python=None if python is None else SpecifierSet(python),
        unavailable=reason,
        watch=watch,
    )


def _read_watch(faults: Faults, value: object, path: str) -> tuple[str, str] | None:
    """Return name and specifier of a requirement (PEP 508)."""
    text = faults.of_kind(value, path, str)
    if text is None:
        return None
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        requirement = None
    if requirement is None or requirement.url or requirement.marker or requirement.extras:
        faults.add(path, f'expected a requirement such as "jax>=0.3.15", found {describe(value)}')
        return None
    return str(canonicalize_name(requirement.name)), str(requirement.specifier)


def read_table(faults: Faults, value: object, path: str) -> Mapping[str, object]:
    """Return the table, or note a fault and return an empty one."""
    return faults.of_kind(value, path, dict) or {}
