"""The rules of the audit: a code, a sentence, and how such a fault is usually fixed."""

from __future__ import annotations

from hashlib import sha256

from metalock.findings import Rule

PAGE = "docs/audit.md"
REVISION = 2
"""Raise it when the rules find something else in the same wheels: older results are then stale.

`tests/unit/test_audit_revision.py` fails when the code that judges has changed, and says what to do.
"""


class AuditRule(Rule):
    """Each rule explains itself in the section of `docs/audit.md` named after its code."""

    TAGS = (
        "A101",
        "Every wheel's tags fit the Python, the platform and its floor.",
        "Lock the environment again: `metalock env --env NAME --upgrade PACKAGE`.",
    )
    ARCHITECTURE = (
        "A201",
        "Every binary is of the platform's format and architecture.",
        "Take a release with a wheel for this architecture, or call the column unavailable.",
    )
    NOT_A_LIBRARY = (
        "A202",
        "Every file that is opened or linked as a library is one.",
        "Choose another release; this wheel was built wrongly.",
    )
    FLOOR = (
        "A301",
        "No binary needs a newer macOS or glibc than the environment's floor.",
        "Raise `macos` or `glibc` of the row in matrix.toml to the version named.",
    )
    LIBRARY = (
        "A401",
        "Every library that a binary links is found.",
        "Choose a release of the plugin that was built for this TensorFlow: `metalock audit --grid PLUGIN`.",
    )
    SYMBOL = (
        "A402",
        "Every symbol that a binary needs is exported to it by a wheel, by Python or by the system.",
        "Choose a release of the plugin that was built for this TensorFlow: `metalock audit --grid PLUGIN`.",
    )
    OPTIONAL = (
        "A403",
        "The parts of a plugin that are loaded on demand would load too.",
        "Do without those operations, or install what they link.",
    )
    VERSION = (
        "A404",
        "Every symbol version that a binary needs is defined by the library that it gets.",
        "Raise `glibc` of the row in matrix.toml, or choose a release that was built for an older system.",
    )
    STUB = (
        "A501",
        "No wheel is an empty stub: each that should hold TensorFlow does.",
        "Name the distribution that holds it: `tensorflow` or `tensorflow-macos`.",
    )
    SELF = (
        "A502",
        "No wheel requires itself.",
        "Choose another release; this one was published by mistake.",
    )
    OVERLAP = (
        "A503",
        "No two wheels write the same file.",
        "Keep one of the two distributions.",
    )
    REQUIREMENT = (
        "A504",
        "What a wheel declares that it requires is locked, in a version that it admits.",
        "Lock the environment again, or correct the pin in matrix.toml that keeps it out.",
    )
    NUMPY = (
        "A505",
        "No extension that was compiled for NumPy 1 is locked together with NumPy 2.",
        'Cap NumPy in matrix.toml: numpy = "<2".',
    )
    KNOWN = (
        "A601",
        "Nothing is known of this combination that loads and is wrong.",
        "Try your model on a Mac with a GPU before relying on it, or choose another row.",
    )
    UNREADABLE = (
        "A901",
        "Every wheel and binary could be read and judged.",
        "Run the audit again with `--again`; if the finding stays, nothing is known about this file.",
    )

    @property
    def page(self) -> str:
        """Return the place where the rule is explained."""
        return f"{PAGE}#{self.code.lower()}"

    @property
    def is_warning(self) -> bool:
        """Return whether a finding leaves the verdict as it is: the environment loads all the same."""
        return self in (AuditRule.KNOWN, AuditRule.OPTIONAL)


RULES = {rule.code: rule for rule in AuditRule}
RULES_DIGEST = sha256(" ".join([str(REVISION), *RULES]).encode()).hexdigest()[:16]
"""Is part of every result: one that was made by other rules, or another revision of them, is stale."""
