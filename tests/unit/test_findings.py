"""findings: each rule has a code of its own and a sentence."""

from __future__ import annotations

import re

from metalock.audit.rules import AuditRule
from metalock.findings import CheckRule, Rule


def test_codes_are_unique_and_rules_explained() -> None:
    rules: list[Rule] = [*CheckRule, *AuditRule]
    assert len({rule.code for rule in rules}) == len(rules)
    for rule in rules:
        assert re.fullmatch(r"[A-Z][0-9]{3}", rule.code)
        assert rule.title


def test_a_rule_of_a_check_is_an_error_with_a_fix_in_each_finding() -> None:
    assert {(rule.fix, rule.page, rule.is_warning) for rule in CheckRule} == {("", "", False)}
