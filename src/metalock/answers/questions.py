"""The most frequent questions: tables of `questions.toml`, in the order of the page.

[[question]]
question = "…?"                 # a heading; capabilities of the contract with this question are included
verified-by = ["area", "area.name", "area.na*"]   # further capabilities that try it
answer = "…"                    # by hand, before what is derived; says no more than the results support
pages = { "…" = "compatibility/….md" }            # more of this repository, relative to the page

[[question.claim]]
text = "…"                      # what people say
decided-by = "area.name"        # the run of this decides
holds-if = "works"              # works, unsupported or broken; or else, of two values that it measures:
slower = ["images_per_second", "images_per_second_of_tf_data"]   # the first is the smaller one
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources

from metalock.errors import DataFileError
from metalock.evidence.contract import Capability, Expected
from metalock.faults import Faults, join
from metalock.parsing import parse_toml


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A common claim, and what decides whether it holds."""

    text: str
    decided_by: str
    holds_if: Expected = Expected.WORKS
    slower: tuple[str, ...] = ()
    """Names of two measured values, if the claim is that the first is the smaller one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A heading of the page."""

    text: str
    verified_by: tuple[str, ...] = ()
    answer: str = ""
    carried_by: str = ""
    """The capability that must have been tried for the answer to be shown."""
    pages: Mapping[str, str] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()

    def concerns(self, capability: Capability) -> bool:
        """Return whether the capability verifies the question."""
        names = (capability.area, capability.name, capability.key)
        named = any(fnmatchcase(name, wanted) for name in names for wanted in self.verified_by)
        return named or capability.question == self.text


@cache
def own_questions() -> tuple[Question, ...]:
    """Return the questions of metalock itself."""
    path = resources.files("metalock.answers") / "questions.toml"
    return parse_questions(path.read_text(encoding="utf-8"))


def parse_questions(text: str) -> tuple[Question, ...]:
    """Return the questions; raise `DataFileError` with all faults of the file."""
    faults = Faults()
    try:
        table = parse_toml(text)
    except ValueError as error:
        raise DataFileError("questions.toml", (f"not valid TOML: {error}",)) from None
    faults.unknown_keys(table, "", ["question"])
    found = tuple(
        _question(entry, join("question", index), faults)
        for index, entry in enumerate(faults.take(table, "", "question", list, []) or ())
    )
    if faults.texts:
        raise DataFileError("questions.toml", tuple(faults.texts))
    return found


def _question(item: object, path: str, faults: Faults) -> Question:
    entry: Mapping[str, object] = faults.of_kind(item, path, dict) or {}
    faults.unknown_keys(entry, path, ["question", "verified-by", "answer", "carried-by", "pages", "claim"])
    pages = faults.take(entry, path, "pages", dict, {}) or {}
    return Question(
        text=faults.take(entry, path, "question", str) or "",
        verified_by=tuple(str(name) for name in faults.take(entry, path, "verified-by", list, []) or ()),
        answer=faults.take(entry, path, "answer", str, "") or "",
        carried_by=faults.take(entry, path, "carried-by", str, "") or "",
        pages={str(name): str(page) for name, page in pages.items()},
        claims=tuple(
            _claim(item, join(join(path, "claim"), index), faults)
            for index, item in enumerate(faults.take(entry, path, "claim", list, []) or ())
        ),
    )


def _claim(item: object, path: str, faults: Faults) -> Claim:
    entry: Mapping[str, object] = faults.of_kind(item, path, dict) or {}
    faults.unknown_keys(entry, path, ["text", "decided-by", "holds-if", "slower"])
    slower = [str(name) for name in faults.take(entry, path, "slower", list, []) or ()]
    if len(slower) not in (0, 2):
        faults.add(join(path, "slower"), "expected the names of two values")
    holds_if = Expected.WORKS if slower else faults.take(entry, path, "holds-if", str)
    if holds_if not in set(Expected):
        faults.add(join(path, "holds-if"), f"expected one of {', '.join(Expected)}")
        holds_if = Expected.WORKS
    return Claim(
        text=faults.take(entry, path, "text", str) or "",
        decided_by=faults.take(entry, path, "decided-by", str) or "",
        holds_if=Expected(holds_if),
        slower=tuple(slower),
    )
