"""The revision of the rules: whoever changes what judges decides whether older results still count."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from metalock.audit import reports
from metalock.audit.case import CHECKS
from metalock.audit.checks import REGISTERED_IN
from metalock.audit.rules import REVISION, AuditRule

SOURCE = Path(__file__).parents[2] / "src" / "metalock"
DECIDING = (
    "case", "checks", "facts", "floors", "link_checks", "linking", "reports", "rules", "search", "systems",
    "wheel",
)  # fmt: skip
_ADVICE = (
    "The code that judges wheels has changed. If it can find something else in the same wheels, "
    "raise REVISION in audit/rules.py: all results of the older revision are then stale. "
    "In both cases write into this test: "
)


def words(node: ast.AST) -> Iterator[str]:
    """Give what a tree says, without docstrings, places and what only some Pythons write (3.11 to 3.13)."""
    yield type(node).__name__
    for name, value in ast.iter_fields(node):
        if name in {"ctx", "kind", "type_comment", "type_params"} or value in (None, []):
            continue
        yield name
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant):
                continue
            if isinstance(item, ast.AST):
                yield from words(item)
            else:
                yield repr(item)


def digest() -> str:
    """Return a digest of what decides: the code of the checks and readers, and their data."""
    total = sha256()
    modules = [SOURCE / "audit" / f"{name}.py" for name in DECIDING] + sorted(SOURCE.glob("binaries/*.py"))
    for path in modules:
        total.update(path.name.encode())
        total.update("\n".join(words(ast.parse(path.read_bytes()))).encode())
    total.update((SOURCE / "audit" / "systems.toml").read_bytes())
    optional = tomllib.loads((SOURCE / "audit" / "reports.toml").read_text(encoding="utf-8"))["optional"]
    total.update(repr(optional).encode())
    return total.hexdigest()[:16]


HELD_REVISION, HELD_DIGEST = 2, "e4c12caaa7c67df7"


def test_a_change_of_what_judges_is_noticed() -> None:
    found = digest()
    assert (REVISION, found) == (HELD_REVISION, HELD_DIGEST), f"{_ADVICE}{REVISION}, {found!r}"


def test_docstrings_and_layout_do_not_count() -> None:
    one = 'def f(a):\n    """Say."""\n    return a + 1  # why\n'
    assert list(words(ast.parse(one))) == list(words(ast.parse("def f(a):\n\n    return (a+1)\n")))
    assert list(words(ast.parse(one))) != list(words(ast.parse("def f(a):\n    return a + 2\n")))


def test_every_rule_is_applied_by_a_check_and_every_check_has_rules() -> None:
    registered = frozenset[AuditRule]().union(*CHECKS.values())
    assert registered | reports.RULES == set(AuditRule)
    assert not registered & reports.RULES
    assert all(CHECKS.values())


def test_every_check_function_is_registered() -> None:
    defined = {
        node.name
        for name in ("checks", *(module.__name__.rpartition(".")[2] for module in REGISTERED_IN))
        for node in ast.parse((SOURCE / "audit" / f"{name}.py").read_bytes()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("check_")
    }
    assert {check.__name__ for check in CHECKS} == defined
