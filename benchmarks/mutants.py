"""Mutants: small faults made in source code, one at a time, that the tests ought to find.

A mutant is a replacement of text, so that its line is the line of the source. Imports, annotations,
docstrings, decorators and f-strings have none (before Python 3.12 the parser does not know where the parts of
an f-string are).
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

COMPARISONS: Mapping[type[ast.cmpop], ast.cmpop] = {
    ast.Lt: ast.LtE(),
    ast.LtE: ast.Lt(),
    ast.Gt: ast.GtE(),
    ast.GtE: ast.Gt(),
    ast.Eq: ast.NotEq(),
    ast.NotEq: ast.Eq(),
    ast.In: ast.NotIn(),
    ast.NotIn: ast.In(),
    ast.Is: ast.IsNot(),
    ast.IsNot: ast.Is(),
}
BOOLEANS: Mapping[type[ast.boolop], ast.boolop] = {ast.And: ast.Or(), ast.Or: ast.And()}
ARITHMETIC: Mapping[type[ast.operator], ast.operator] = {
    ast.Add: ast.Sub(),
    ast.Sub: ast.Add(),
    ast.Mult: ast.FloorDiv(),
    ast.FloorDiv: ast.Mult(),
    ast.BitOr: ast.BitAnd(),
    ast.BitAnd: ast.BitOr(),
}
CALLS = {"any": "all", "all": "any", "min": "max", "max": "min"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The statement that a mutant belongs to."""

    lines: range
    """Its lines, without the body of a compound statement."""
    at_import: bool
    """Whether it runs when its module is imported, before any test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One fault: the bytes from `start` to `end` of a file are replaced by `after`."""

    path: str
    line: int
    place: Place
    start: int
    end: int
    before: str
    after: str
    key: str
    """A name that no other mutant has, bound to the text of the whole module."""

    def apply(self, source: bytes) -> bytes:
        """Return the source with the fault in it."""
        return source[: self.start] + self.after.encode() + source[self.end :]

    def __str__(self) -> str:
        """Return place and change on one line."""
        before = " ".join(self.before.split())
        return f"{self.path}:{self.line}: {before[:90]}{'…' * (len(before) > 90)}  ->  {self.after[:90]}"


def mutants_of(path: str, source: bytes) -> list[Mutant]:
    """Return all mutants of a module, in the order of their place."""
    module = sha256(source).hexdigest()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    for node, after, place in _walk(ast.parse(source), Place(lines=range(0), at_import=True)):
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        before = source[start:end].decode()
        key = sha256(f"{path} {module} {start} {after}".encode()).hexdigest()
        found.append(
            Mutant(
                path=path,
                line=node.lineno,
                place=place,
                start=start,
                end=end,
                before=before,
                after=after,
                key=key,
            )
        )
    return sorted(found, key=lambda mutant: (mutant.start, mutant.end, mutant.after))


def draw(mutants: Iterable[Mutant], count: int, seed: int) -> list[Mutant]:
    """Return `count` of the mutants, the same ones for the same seed and source.

    They are in the order of a hash of each: the first ones are a fair sample too, and a change of one module
    leaves most mutants of the others as they were.
    """
    seen: Counter[tuple[str, str, str]] = Counter()
    ranked = []
    for mutant in mutants:
        change = (mutant.path, mutant.before, mutant.after)
        seen[change] += 1
        ranked.append((sha256(f"{seed} {change} {seen[change]}".encode()).digest(), mutant))
    return [mutant for _, mutant in sorted(ranked, key=lambda pair: pair[0])[:count]]


def _walk(node: ast.AST, place: Place) -> Iterator[tuple[ast.expr | ast.stmt, str, Place]]:
    """Yield what is replaced below a node, by what, and the statement around it."""
    if isinstance(node, ast.stmt):
        body: list[ast.stmt] = getattr(node, "body", [])
        last = max(node.lineno, body[0].lineno - 1) if body else node.end_lineno or node.lineno
        place = replace(place, lines=range(node.lineno, last + 1))
    for changed, after in (*_statement_changes(node), *_expression_changes(node)):
        yield changed, after, place
    inner = replace(place, at_import=False) if isinstance(node, _FUNCTIONS) else place
    for child in _children(node):
        yield from _walk(child, inner if isinstance(child, ast.stmt) else place)


def _children(node: ast.AST) -> Iterable[ast.AST]:
    """Return the parts of a node that have mutants."""
    match node:
        case ast.Import() | ast.ImportFrom() | ast.JoinedStr() | ast.Expr(value=ast.Constant()):
            return ()
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return ()
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            defaults = (*node.args.defaults, *node.args.kw_defaults)
            return [*(default for default in defaults if default is not None), *node.body]
        case ast.ClassDef():
            return node.body
        case ast.AnnAssign():
            return [node.value] if node.value is not None else ()
        case _:
            return ast.iter_child_nodes(node)


def _statement_changes(node: ast.AST) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    """Remove a statement, return nothing, end a loop early or not, and negate a condition."""
    match node:
        case ast.Expr(value=ast.Constant()) | ast.If(test=ast.Name(id="TYPE_CHECKING")):
            pass
        case ast.Expr() | ast.AugAssign() | ast.Raise() | ast.Delete():
            yield node, "pass"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield node, "pass"
        case ast.Return(value=ast.expr() as value) if not _is_none(value):
            yield node, "return None"
        case ast.Break():
            yield node, "continue"
        case ast.Continue():
            yield node, "break"
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
            yield from _negated(test)
        case ast.comprehension():
            for test in node.ifs:
                yield from _negated(test)
        case _:
            pass


def _expression_changes(node: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    """Swap operators and functions for their neighbours, and change constants."""
    match node:
        case ast.Compare():
            for index, operator in enumerate(node.ops):
                operators = [*node.ops[:index], COMPARISONS[type(operator)], *node.ops[index + 1 :]]
                yield node, _text(ast.Compare(node.left, operators, node.comparators))
        case ast.BoolOp():
            yield node, _text(ast.BoolOp(BOOLEANS[type(node.op)], node.values))
        case ast.BinOp() if type(node.op) in ARITHMETIC:
            yield node, _text(ast.BinOp(node.left, ARITHMETIC[type(node.op)], node.right))
        case ast.UnaryOp(op=ast.Not()):
            yield node, _text(node.operand)
        case ast.Call(func=ast.Name(id=name) as function) if name in CALLS:
            yield function, CALLS[name]
        case ast.Constant():
            yield from ((node, after) for after in _other_values(node.value))
        case _:
            pass


def _other_values(value: object) -> Iterator[str]:
    """Yield another value in place of a constant, unless it is None."""
    match value:
        case bool():
            yield str(not value)
        case int() | float():
            yield str(value + 1)
        case str():
            yield "''" if value else "'mutant'"
        case bytes():
            yield "b''" if value else "b'mutant'"
        case _:
            pass


def _negated(test: ast.expr) -> Iterator[tuple[ast.expr, str]]:
    """Negate a condition, unless another operator does that already."""
    if not isinstance(test, ast.Compare | ast.Constant | ast.UnaryOp):
        yield test, f"(not {_text(test)})"


def _text(node: ast.expr) -> str:
    return f"({ast.unparse(node)})"


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
