"""Evidence as `smoke.json` next to its lock: written in one form, and read as untrusted data."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from enum import StrEnum

from metalock.evidence.contract import Expected
from metalock.evidence.model import Evidence, Observation, Observed, Outcome, Result, counts_of
from metalock.faults import Faults
from metalock.lock.model import Lock
from metalock.platforms import Platform
from metalock.untrusted import Fields, InvalidFileError, is_line, is_number, one_line, parse_json, printable

SCHEMA = 1
HEAD_KEYS = ("schema", "lock", "date", "backend", "host", "counts", "capabilities")
CAPABILITY_KEYS = ("name", "outcome", "expected", "observed", "error", "values", "seconds")
HOST_TEXTS = ("cpu", "python", "interpreter")
LINUX_KEYS = ("glibc",)
MACOS_KEYS = ("translated", "virtual")
HOST_KEYS = (
    *("system", "machine", *HOST_TEXTS, "instructions", "cores", "load", "wheel_platform", "gpus"),
    *(*LINUX_KEYS, *MACOS_KEYS),
)
HOST_LINE = 100
ERROR_LENGTH = 2000
CAPABILITIES = 5000
VALUES = 50
LARGEST_VALUE = 10**15
LONGEST_SECONDS = 24 * 60 * 60
CORES = 4096
LOAD = 10**5
ITEMS = 64
"""GPUs, and instruction sets."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NAME = re.compile(r"[a-z0-9-]+\.[a-z0-9.-]+(@cpu|@gpu)?")
_MEASURE = re.compile(r"[a-z][a-z0-9_.-]*")
_MACOS = re.compile(r"macOS( [0-9]+(\.[0-9]+)*)?")
_NOT_LINUX = re.compile(r"mac ?os|darwin|windows", re.IGNORECASE)
_WHEELS = {True: re.compile(r"macosx-.+"), False: re.compile(r"linux-.+")}
"""Forms of `sysconfig.get_platform()`, by whether the platform is macOS."""


class RecordedBackend(StrEnum):
    """What installed Python."""

    CONDA = "conda"
    VENV = "venv"


def evidence_text(evidence: Evidence, lock: Lock) -> str:
    """Return JSON with one capability per line.

    `expected`, `outcome` and `counts` are for people; they are derived again whenever the file is read.
    """
    results = evidence.results(lock)
    head = {
        "schema": SCHEMA,
        "lock": evidence.lock,
        "date": evidence.date,
        "backend": evidence.backend,
        "host": dict(evidence.host),
        "counts": {str(outcome): count for outcome, count in counts_of(results).items()},
    }
    lines = ",\n".join("  " + json.dumps(_table(result), ensure_ascii=False) for result in results)
    text = json.dumps(head, indent=1, ensure_ascii=False).removesuffix("\n}")
    return f'{text},\n "capabilities": [\n{lines}\n ]\n}}\n'


def _table(result: Result) -> dict[str, object]:
    observation = result.observation
    return {
        "name": observation.name,
        "outcome": str(result.outcome),
        "expected": str(result.expectation.outcome),
        "observed": str(observation.observed),
        "error": observation.error,
        "values": dict(observation.values),
        "seconds": round(observation.seconds, 2),
    }


def parse_evidence(data: bytes, platform: Platform) -> Evidence:
    """Return the evidence about a lock of that platform.

    Raise `InvalidFileError` with every fault if it does not satisfy the schema.
    """
    faults = Faults()
    fields = Fields(parse_json(data), "", faults, HEAD_KEYS)
    fields.whole("schema", SCHEMA, SCHEMA)
    observations = _observations(fields, faults)
    evidence = Evidence(
        lock=fields.line("lock", pattern=_DIGEST),
        date=_date(fields),
        backend=str(fields.one_of("backend", RecordedBackend)),
        host=_host(fields.table("host", HOST_KEYS), platform),
        observations=tuple(observations),
    )
    if faults.texts:
        raise InvalidFileError(*faults.texts)
    return evidence


def _date(fields: Fields) -> str:
    text = fields.line("date", pattern=_DATE)
    try:
        date.fromisoformat(text or "2000-01-01")
    except ValueError:
        fields.fault("date", "there is no such day")
    return text


def _observations(fields: Fields, faults: Faults) -> list[Observation]:
    found, outcomes = [], Counter[str]()
    for path, item in fields.items("capabilities", most=CAPABILITIES):
        entry = Fields(item, path, faults, CAPABILITY_KEYS)
        outcomes[entry.one_of("outcome", Outcome)] += 1
        entry.one_of("expected", Expected)
        found.append(_observation(entry))
    if not found:
        fields.fault("capabilities", "nothing was tried")
    names = Counter(observation.name for observation in found)
    twice = next((name for name, count in names.items() if count > 1), None)
    if twice is not None:
        fields.fault("capabilities", f"{twice} occurs twice")
    counts = fields.mapping("counts", most=len(Outcome))
    if counts != dict(outcomes) or not all(map(_is_count, counts.values())):
        fields.fault("counts", "these are not the numbers of outcomes in `capabilities`")
    return found


def _is_count(value: object) -> bool:
    return isinstance(value, int) and is_number(value, 1, CAPABILITIES)


def _observation(fields: Fields) -> Observation:
    values = fields.mapping("values", most=VALUES)
    for name, value in values.items():
        if not _MEASURE.fullmatch(name) or len(name) > HOST_LINE:
            fields.fault("values", "expected names such as images_per_second")
        elif not _is_value(value):
            fields.fault("values", f"expected a number, a boolean or one line of text as {name}")
    return Observation(
        name=fields.line("name", most=HOST_LINE, pattern=_NAME),
        observed=fields.one_of("observed", Observed),
        error=fields.lines("error", most=ERROR_LENGTH),
        values=values,
        seconds=float(fields.number("seconds", 0, LONGEST_SECONDS)),
    )


def _host(fields: Fields, platform: Platform) -> dict[str, object]:
    """Return what is known of the machine, which has to be one of that platform."""
    system = fields.line("system", most=HOST_LINE)
    is_right = bool(_MACOS.fullmatch(system)) if platform.is_macos else not _NOT_LINUX.match(system)
    if not system or not is_right:
        fields.fault("system", f"expected a system of {platform}")
    readers: dict[str, Callable[[str], object]] = {
        "system": lambda _: system,
        "machine": lambda key: fields.line(key, pattern=re.compile(platform.machine)),
        **dict.fromkeys(HOST_TEXTS, lambda key: fields.line(key, most=HOST_LINE)),
        "instructions": lambda key: fields.strings(key, most=ITEMS, length=HOST_LINE),
        "cores": lambda key: fields.whole(key, 1, CORES),
        "load": lambda key: fields.number(key, 0, LOAD),
        "wheel_platform": lambda key: fields.line(key, most=HOST_LINE, pattern=_WHEELS[platform.is_macos]),
        "gpus": lambda key: fields.strings(key, most=ITEMS, length=HOST_LINE),
        **(dict.fromkeys(MACOS_KEYS, fields.flag) if platform.is_macos else {}),
        **(
            {}
            if platform.is_macos
            else dict.fromkeys(LINUX_KEYS, lambda key: fields.line(key, most=HOST_LINE))
        ),
    }
    for key in fields:
        if key in HOST_KEYS and key not in readers:
            fields.fault(key, f"a machine of {platform} has no such field")
    read = [key for key in fields if key in readers]
    return {key: readers[key](key) for key in dict.fromkeys([*read, "machine", "gpus"])}


def clean_host(host: Mapping[str, object]) -> dict[str, object]:
    """Return the facts of a machine in the form that the schema allows, without unknown ones."""
    found: dict[str, object] = {}
    for key, value in host.items():
        if isinstance(value, str):
            found[key] = one_line(value, HOST_LINE)
        elif isinstance(value, (list, tuple)):
            found[key] = [one_line(str(item), HOST_LINE) for item in value[:ITEMS]]
        else:
            found[key] = value
    return {key: value for key, value in found.items() if value not in (None, "")}


def clean_observation(observation: Observation) -> Observation:
    """Return the observation in the form that the schema allows: no control characters, finite numbers."""
    values = {name: _clean_value(value) for name, value in observation.values.items()}
    return replace(observation, error=printable(observation.error)[:ERROR_LENGTH], values=values)


def _clean_value(value: object) -> object:
    return value if _is_value(value) else one_line(str(value), HOST_LINE)


def _is_value(value: object) -> bool:
    if isinstance(value, str):
        return is_line(value, HOST_LINE)
    return isinstance(value, bool) or is_number(value, -LARGEST_VALUE, LARGEST_VALUE)
