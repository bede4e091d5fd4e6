"""The contract: each capability in a user's words, with what is expected of it by version and platform.

Tables of `capabilities/*.toml`, one file an area, in the order that they are to be tried:

    [[capability]]
    name = "area.what"              # the `capability` marker of its test in suite/
    question = "…?"                 # what people ask; capabilities of one question are answered together
    claim = "…"                     # what holds if it works
    devices = true                  # tried on the CPU and the GPU, as name@cpu and name@gpu
    process = "name"                # in a process of its own, shared by those with this name; before the
                                    # first capability of a file, for all capabilities of the file
    env = { NAME = "value" }        # with these variables, in a process of their own
    service = "s3"                  # with this server on loopback
    scenario = "pandas"             # in a prefix made for it, with a second install
    needs = ["tensorflow-io"]       # applies if the lock has these
    seconds = 60                    # time limit

    [[capability.expect]]           # the first whose `when` holds counts; if none does, it works
    when = { keras = ">=3", python = ">=3.9", platform = "osx-*", device = "gpu", tf-keras = "absent",
             cpu = "without avx512f" }
    outcome = "unsupported"         # works; unsupported: not in this version; broken: exists, and is wrong
    error = "…"                     # a part of what is observed, for unsupported and broken
    instead = "…"                   # what to use, for unsupported
    source = "repo#number"          # for broken
    why = "…"                       # the cause, if the error does not say it
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from metalock.errors import DataFileError
from metalock.faults import Faults, join
from metalock.lock.model import Lock
from metalock.parsing import parse_toml
from metalock.platforms import Platform

ABSENT = "absent"
SECONDS = 60
FIRST = "environment.toml"
"""Tried first, so that the time to import TensorFlow counts for its test."""
_CPU = re.compile(r"(with|without) ([a-z0-9_]+)")
_TEXTS = ("name", "question", "claim")
_OPTIONAL_TEXTS = ("process", "service", "scenario")
_EXPECT_TEXTS = ("outcome", "error", "instead", "source", "why")


class Expected(StrEnum):
    """What the contract says of a capability."""

    WORKS = "works"
    UNSUPPORTED = "unsupported"
    """Not in this version; there is something to use instead."""
    BROKEN = "broken"
    """It exists, and is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Where a capability is tried."""

    platform: Platform
    python: str
    versions: Mapping[str, str]
    """By normalized name; TensorFlow is `tensorflow`, whichever distribution contains it."""
    instructions: frozenset[str] | None = None
    """Instruction sets of the processor that matter, as Linux names them; None if they are not known."""


def situation_of(lock: Lock, host: Mapping[str, object] | None = None) -> Situation:
    """Return the situation of a lock on a machine; `host` is what evidence says of the machine."""
    versions = {package.name: package.version for package in lock.conda}
    versions |= {package.name: package.version for package in lock.pip}
    if "tensorflow-macos" in versions:
        versions["tensorflow"] = versions["tensorflow-macos"]
    known = (host or {}).get("instructions")
    instructions = frozenset(map(str, known)) if isinstance(known, list) else None
    return Situation(platform=lock.platform, python=lock.python, versions=versions, instructions=instructions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What is to be observed if `when` holds."""

    when: Mapping[str, str]
    outcome: Expected
    error: str = ""
    """A part of the error, as it is observed."""
    instead: str = ""
    source: str = ""
    why: str = ""

    def concerns(self, situation: Situation, device: str | None) -> bool:
        """Return whether every condition holds there."""
        return all(_holds(key, wanted, situation, device) for key, wanted in self.when.items())


def _holds(key: str, wanted: str, situation: Situation, device: str | None) -> bool:
    if key == "device":
        return device == wanted
    if key == "platform":
        return fnmatchcase(situation.platform, wanted)
    if key == "cpu":
        word, _, instruction = wanted.partition(" ")
        known = situation.instructions
        return known is not None and (instruction in known) == (word == "with")
    version = situation.python if key == "python" else situation.versions.get(key)
    if wanted == ABSENT or version is None:
        return wanted == ABSENT and version is None
    return _contains(wanted, version)


@cache
def _contains(specifier: str, version: str) -> bool:
    return SpecifierSet(specifier).contains(version, prereleases=True)


WORKS = Expectation(when={}, outcome=Expected.WORKS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """Something that people want to do; if it is tried on both devices, it is two capabilities."""

    name: str
    area: str
    """The file that contains it."""
    question: str
    claim: str
    device: str | None = None
    env: Mapping[str, str]
    process: str = ""
    """Empty for the process that most share."""
    service: str = ""
    scenario: str = ""
    needs: tuple[str, ...] = ()
    seconds: int = SECONDS
    """Time limit."""
    expectations: tuple[Expectation, ...] = ()

    @property
    def key(self) -> str:
        """Return the name by which its test is found: `numbers.relu@gpu`."""
        return f"{self.name}@{self.device}" if self.device else self.name

    def applies(self, situation: Situation) -> bool:
        """Return whether the lock has what the capability needs."""
        return all(name in situation.versions for name in self.needs)

    def expected(self, situation: Situation) -> Expectation:
        """Return what the contract expects of it there."""
        return next((e for e in self.expectations if e.concerns(situation, self.device)), WORKS)


@cache
def contract() -> tuple[Capability, ...]:
    """Return the contract, by area and then as written; raise `DataFileError` with the faults of a file."""
    found: list[Capability] = []
    folder = resources.files("metalock.evidence") / "capabilities"
    for path in sorted(folder.iterdir(), key=lambda path: (path.name != FIRST, path.name)):
        if path.name.endswith(".toml"):
            text = path.read_text(encoding="utf-8")
            found += parse_contract(text, path.name.removesuffix(".toml"))
    return tuple(found)


def parse_contract(text: str, area: str) -> list[Capability]:
    """Return the capabilities of one file; raise `DataFileError` with all of its faults."""
    source = f"capabilities/{area}.toml"
    faults = Faults()
    try:
        table = parse_toml(text)
    except ValueError as error:
        raise DataFileError(source, (f"not valid TOML: {error}",)) from None
    faults.unknown_keys(table, "", ["capability", "process"])
    process = faults.take(table, "", "process", str, "") or ""
    found = []
    for index, item in enumerate(faults.take(table, "", "capability", list, []) or ()):
        entry = faults.of_kind(item, join("capability", index), dict)
        if entry is None:
            continue
        path = join("capability", str(entry.get("name", index)))
        found += list(_capabilities({"process": process, **entry}, area, path, faults))
    if faults.texts:
        raise DataFileError(source, tuple(faults.texts))
    return found


def _capabilities(entry: Mapping[str, object], area: str, path: str, faults: Faults) -> Iterator[Capability]:
    known = [*_TEXTS, *_OPTIONAL_TEXTS, "devices", "env", "needs", "seconds", "expect"]
    faults.unknown_keys(entry, path, known)
    texts = {key: faults.take(entry, path, key, str) for key in _TEXTS}
    texts |= {key: faults.take(entry, path, key, str, "") for key in _OPTIONAL_TEXTS}
    devices = faults.take(entry, path, "devices", bool, default=False)
    for device in ("cpu", "gpu") if devices else (None,):
        yield Capability(
            **{key: text or "" for key, text in texts.items()},
            area=area,
            device=device,
            env=_strings(faults.take(entry, path, "env", dict, {}), join(path, "env"), faults),
            needs=tuple(str(name) for name in faults.take(entry, path, "needs", list, []) or ()),
            seconds=faults.take(entry, path, "seconds", int, SECONDS) or SECONDS,
            expectations=tuple(
                _expectation(item, join(join(path, "expect"), index), faults)
                for index, item in enumerate(faults.take(entry, path, "expect", list, []) or ())
            ),
        )


def _expectation(item: object, path: str, faults: Faults) -> Expectation:
    entry: Mapping[str, object] = faults.of_kind(item, path, dict) or {}
    faults.unknown_keys(entry, path, ["when", *_EXPECT_TEXTS])
    when = _strings(faults.take(entry, path, "when", dict, {}), join(path, "when"), faults)
    for key, wanted in when.items():
        _check_condition(key, wanted, join(join(path, "when"), key), faults)
    texts = {
        key: faults.take(entry, path, key, str, None if key == "outcome" else "") or ""
        for key in _EXPECT_TEXTS
    }
    outcome = texts.pop("outcome")
    if outcome not in set(Expected):
        faults.add(join(path, "outcome"), f"expected one of {', '.join(Expected)}")
        outcome = Expected.WORKS
    for key in {Expected.UNSUPPORTED: ("error", "instead"), Expected.BROKEN: ("error", "source")}.get(
        Expected(outcome), ()
    ):
        if not texts[key]:
            faults.add(join(path, key), f"missing; what is {outcome} has it")
    return Expectation(when=when, outcome=Expected(outcome), **texts)


def _check_condition(key: str, wanted: str, path: str, faults: Faults) -> None:
    if key in ("device", "platform") or wanted == ABSENT:
        return
    if key == "cpu":
        if not _CPU.fullmatch(wanted):
            faults.add(path, f"expected 'with …' or 'without …' an instruction set, found {wanted!r}")
        return
    try:
        SpecifierSet(wanted)
    except InvalidSpecifier:
        faults.add(path, f"expected a version specifier or {ABSENT!r}, found {wanted!r}")


def _strings(table: object, path: str, faults: Faults) -> dict[str, str]:
    found = {}
    for key, value in table.items() if isinstance(table, dict) else ():
        text = faults.of_kind(value, join(path, key), str)
        if text is not None:
            found[key] = text
    return found
