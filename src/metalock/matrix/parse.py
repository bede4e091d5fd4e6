"""Reading `matrix.toml` into a `Matrix`: strictly, and with every fault in one report."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from metalock.errors import MatrixError
from metalock.faults import Faults, describe, did_you_mean, join
from metalock.matrix import values
from metalock.matrix.expand import expand
from metalock.matrix.model import COLUMNS, TENSORFLOW_DISTRIBUTIONS, Choice, Matrix, Row
from metalock.parsing import parse_toml
from metalock.platforms import Platform

SCHEMA = 1
YEARS = range(2000, 2200)
STACK_NAME = re.compile(r"(?=.{1,64}\Z)[a-z0-9]+(?:[._-][a-z0-9]+)*")
STACK_NAMES = "expected a name of at most 64 lower-case letters and digits, joined by single dots, _ or -"
TOP_KEYS = ("schema", "channels", "exclude-newer", "packages", "platform", "stack")
STACK_KEYS = ("python", *COLUMNS, "packages", "constraints", "variables")


def parse_matrix(text: str, source: str = "matrix.toml") -> Matrix:
    """Return the matrix; raise `MatrixError` with all faults of the file, each with its TOML path."""
    try:
        table = parse_toml(text)
    except ValueError as error:
        raise MatrixError(source, (f"not valid TOML: {error}",)) from None
    faults = Faults()
    matrix = _read_matrix(faults, table)
    _check_defaults(faults, matrix)
    if faults.texts:
        raise MatrixError(source, tuple(faults.texts))
    return matrix


def _read_matrix(faults: Faults, table: Mapping[str, object]) -> Matrix:
    faults.unknown_keys(table, "", TOP_KEYS)
    schema = faults.take(table, "", "schema", int)
    if schema is not None and schema != SCHEMA:
        faults.add("schema", f"expected {SCHEMA}, found {describe(schema)}")
    channels = faults.take(table, "", "channels", list) or []
    if table.get("channels") == []:
        faults.add("channels", 'expected at least one channel, such as "conda-forge"')
    names = [values.read_channel(faults, item, join("channels", i)) for i, item in enumerate(channels)]
    exclude_newer = _read_cutoff(faults, table.get("exclude-newer"))
    packages = values.read_table(faults, table.get("packages", {}), "packages")
    faults.unknown_keys(packages, "packages", ("conda", "pip", "from-conda"))
    kept = faults.take(packages, "packages", "from-conda", list, []) or []
    from_conda = [values.read_pip_name(faults, n, join("packages.from-conda", i)) for i, n in enumerate(kept)]
    platforms = _read_platforms(faults, table)
    everyone = values.read_pip_packages(faults, packages.get("pip", {}), "packages.pip")
    return Matrix(
        channels=tuple(name for name in names if name),
        exclude_newer=exclude_newer,
        conda_packages=values.read_conda_packages(faults, packages.get("conda", {}), "packages.conda"),
        from_conda=tuple(sorted({name for name in from_conda if name})),
        rows=_read_stacks(faults, table, {p: floor for p, (floor, _) in platforms.items()}, everyone),
        defaults={platform: default for platform, (_, default) in platforms.items() if default is not None},
    )


def _read_cutoff(faults: Faults, value: object) -> str:
    """Return the cut-off in UTC; a local time or a bare date depends on the machine and is a fault."""
    if isinstance(value, datetime) and value.tzinfo is not None and value.year in YEARS:
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    expected = "expected a date-time with offset, such as 2026-08-21T00:00:00Z"
    faults.add(
        "exclude-newer", f"missing; {expected}" if value is None else f"{expected}, found {describe(value)}"
    )
    return ""


def require_past_cutoff(matrix: Matrix, today: date, source: str) -> None:
    """Raise `MatrixError` if the cut-off is later than tomorrow, since locks would change from day to day."""
    if date.fromisoformat(matrix.exclude_newer[:10]) > today + timedelta(days=1):
        fault = (
            f"exclude-newer: {matrix.exclude_newer} is in the future, so that locks would depend on the day "
            f"they are made; write a time that has passed, such as {today}T00:00:00Z"
        )
        raise MatrixError(source, (fault,))


def _read_platforms(faults: Faults, table: Mapping[str, object]) -> dict[Platform, tuple[str, str | None]]:
    """Return the default floor and default environment of each platform."""
    platforms: dict[Platform, tuple[str, str | None]] = {}
    for key, value in (faults.take(table, "", "platform", dict) or {}).items():
        path = join("platform", key)
        if key not in tuple(Platform):
            guess = did_you_mean(key, Platform) or f"; expected one of {', '.join(Platform)}"
            faults.add(path, f"unknown platform{guess}")
            continue
        platform = Platform(key)
        platforms[platform] = ("", None)
        entry = faults.of_kind(value, path, dict)
        if entry is None:
            continue
        faults.unknown_keys(entry, path, (platform.floor_key, "default"))
        default = faults.take(entry, path, "default", str)
        floor = faults.take(entry, path, platform.floor_key, str)
        if floor is not None:
            values.read_floor(faults, floor, join(path, platform.floor_key), platform)
        platforms[platform] = (floor or "", default)
    if table.get("platform") == {}:
        faults.add("platform", f"expected a table for at least one of {', '.join(Platform)}")
    return {platform: platforms[platform] for platform in Platform if platform in platforms}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    """The settings of a stack, or of one platform of it."""

    pythons: tuple[str, ...] | None = None
    columns: Mapping[str, tuple[Choice, ...]] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    constraints: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)

    def overridden_by(self, other: _Settings) -> _Settings:
        columns = dict(self.columns)
        if any(name in other.columns for name in TENSORFLOW_DISTRIBUTIONS):
            for name in TENSORFLOW_DISTRIBUTIONS:
                columns.pop(name, None)
        return _Settings(
            pythons=other.pythons or self.pythons,
            columns=columns | dict(other.columns),
            packages={**self.packages, **other.packages},
            constraints={**self.constraints, **other.constraints},
            variables={**self.variables, **other.variables},
        )


def _read_settings(faults: Faults, table: Mapping[str, object], path: str) -> _Settings:
    named = [name for name in TENSORFLOW_DISTRIBUTIONS if name in table]
    if len(named) > 1:
        faults.add(path, f"both {' and '.join(named)}; name the one that holds TensorFlow")
    return _Settings(
        pythons=values.read_pythons(faults, table["python"], join(path, "python"))
        if "python" in table
        else None,
        columns={
            name: values.read_column(faults, table[name], join(path, name))
            for name in COLUMNS
            if name in table
        },
        packages=values.read_pip_packages(faults, table.get("packages", {}), join(path, "packages")),
        constraints=values.read_pip_packages(faults, table.get("constraints", {}), join(path, "constraints")),
        variables=values.read_variables(faults, table.get("variables", {}), join(path, "variables")),
    )


def _read_stacks(
    faults: Faults, table: Mapping[str, object], floors: Mapping[Platform, str], everyone: Mapping[str, str]
) -> tuple[Row, ...]:
    stacks = faults.take(table, "", "stack", dict) or {}
    if table.get("stack") == {}:
        faults.add("stack", 'expected at least one stack, such as [stack."tf2.18"]')
    rows: list[Row] = []
    for name, value in stacks.items():
        path = join("stack", name)
        if not STACK_NAME.fullmatch(name):
            faults.add(path, STACK_NAMES)
        stack = faults.of_kind(value, path, dict)
        if stack is None:
            continue
        faults.unknown_keys(stack, path, (*STACK_KEYS, *Platform))
        base = _read_settings(faults, stack, path)
        base = replace(base, packages={**everyone, **base.packages})
        for platform in Platform:
            if platform in floors:
                rows += _read_row(faults, name, base, platform, floors[platform], stack.get(platform, {}))
            elif platform in stack:
                faults.add(join(path, platform), f"this file has no [platform.{platform}]")
    return tuple(rows)


def _read_row(
    faults: Faults, stack: str, base: _Settings, platform: Platform, floor: str, own: object
) -> list[Row]:
    """Return one row, or none if its stack has too many faults."""
    stack_path = join("stack", stack)
    path = join(stack_path, platform)
    table = values.read_table(faults, own, path)
    where = path if table else stack_path
    faults.unknown_keys(table, path, (*STACK_KEYS, platform.floor_key, "unavailable"))
    settings = base.overridden_by(_read_settings(faults, table, path))
    if platform.floor_key in table:
        key = join(path, platform.floor_key)
        floor = values.read_floor(faults, table[platform.floor_key], key, platform) or floor
    columns = dict(settings.columns)
    named = [name for name in TENSORFLOW_DISTRIBUTIONS if name in columns]
    if not named:
        faults.add(where, f"no TensorFlow; expected {' or '.join(TENSORFLOW_DISTRIBUTIONS)}")
    for name in named:
        place = join(path if name in table else stack_path, name)
        left_out = [p for p in settings.pythons or () if not any(c.admits(p) for c in columns[name])]
        if left_out and not faults.within(place):
            faults.add(place, f"no choice admits Python {', '.join(left_out)}")
    if settings.pythons is None:
        faults.add(where, 'no `python`; expected such as ["3.11"]')
    if "unavailable" in table:
        reason = values.read_reason(faults, table["unavailable"], join(path, "unavailable"))
        columns |= {name: tuple(replace(c, unavailable=reason) for c in columns[name]) for name in named}
    if not named or settings.pythons is None:
        return []
    return [
        Row(
            stack=stack,
            platform=platform,
            pythons=settings.pythons,
            columns={name: columns[name] for name in COLUMNS if name in columns},
            packages=dict(sorted(settings.packages.items())),
            constraints=dict(sorted(settings.constraints.items())),
            variables=dict(sorted(settings.variables.items())),
            floor=floor,
        )
    ]


def _check_defaults(faults: Faults, matrix: Matrix) -> None:
    """Note a fault for a default that is not an available environment of its platform.

    If the stack that it names has faults, this is not checked.
    """
    envs: dict[Platform, dict[str, bool]] = {}
    for cell in expand(matrix):
        if not faults.within(join("stack", cell.stack)):
            envs.setdefault(cell.platform, {})[cell.env] = cell.unavailable is None
    for platform, default in matrix.defaults.items():
        path = join(join("platform", platform), "default")
        stack, _, _ = default.rpartition("-py")
        if not matrix.rows or faults.within(join("stack", stack)):
            continue
        if default not in envs.get(platform, {}):
            guess = did_you_mean(default, envs.get(platform, {}))
            faults.add(path, f"expected an environment of this platform, found {describe(default)}{guess}")
        elif not envs[platform][default]:
            faults.add(path, f"{default} is unavailable on {platform}")
