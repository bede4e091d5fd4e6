"""What a check finds: a code, where, what, and how to fix it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Rule(Enum):
    """A rule that findings are about: its value is a code, a sentence, and how a fault is usually fixed."""

    @property
    def code(self) -> str:
        """Return the code by which findings are selected: `D001`."""
        return str(self.value[0])

    @property
    def title(self) -> str:
        """Return what is true if there is no finding."""
        return str(self.value[1])

    @property
    def fix(self) -> str:
        """Return an instruction, or nothing if each finding has its own."""
        return str(next(iter(self.value[2:]), ""))

    @property
    def page(self) -> str:
        """Return where the rule is explained, if anywhere: a path with an anchor."""
        return ""

    @property
    def is_warning(self) -> bool:
        """Return whether a finding does not change the verdict."""
        return False


class CheckRule(Rule):
    """The rules that `check` and `build --check` apply."""

    MISSING = "D001", "every available environment of the matrix is locked"
    STALE = "D002", "a lock was solved for what the matrix says now"
    EDITED = "D003", "generated files are what their lock and templates give"
    BROKEN = "D004", "a lock, and the table of RECORDs, is as metalock wrote it"
    ORPHAN = "D005", "every locked environment is in the matrix"
    TABLE = "D006", "the README's table is what the matrix gives"
    ANSWERS = "D007", "the page of answers is what the contract and the evidence give"
    EVIDENCE = "D008", "recorded evidence is valid: it satisfies its schema, and its day is not in the future"
    APPEARED = "I001", "what the matrix calls unavailable has no wheel"
    GONE = "I002", "locked wheels are on the index"
    CHANGED = "I003", "locked wheels have the sha256 that was locked"
    YANKED = "I004", "locked wheels are not yanked"
    ABSENT = "B001", "every locked package is installed"
    OTHER = "B002", "what is installed has the locked version and build"
    EXTRA = "B003", "nothing is installed but what is locked"
    ALTERED = "B004", "installed files are what their package's record says"
    INTERPRETER = "B005", "the interpreter is the locked one"
    HALF_BUILT = "B006", "the build was completed"
    RECORD = "B007", "the RECORD of each installed wheel is that of the locked wheel"
    UNKNOWN = "B008", "every module, library and program belongs to a package"
    OUTSIDE = "B009", "no symbolic link leads out of the environment"
    CONTRADICTION = "P001", "the pins of an environment agree with each other and with the wheels' metadata"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule that does not hold, at one place."""

    rule: Rule
    where: str = ""
    """A path or a name, in the terms of the check that found it."""
    detail: str
    fix: str = ""
    package: str = ""
    """Name and version, where the finding is about one package."""
    names: tuple[str, ...] = ()
    """The symbols or libraries in question, as the loader names them."""

    def to_dict(self) -> dict[str, str]:
        """Return the finding as JSON values."""
        return {
            "code": self.rule.code,
            "rule": self.rule.title,
            "where": self.where,
            "detail": self.detail,
            "fix": self.fix,
        }

    def to_text(self) -> str:
        """Return one line, and the fix on a second."""
        line = f"{self.rule.code} {self.where}: {self.detail}"
        return f"{line}\n     {self.fix}" if self.fix else line
