"""benchmarks/mutants: which faults are made in a module, where, and which are drawn."""

from __future__ import annotations

import pytest

from mutants import draw, mutants_of


def changes(source: str) -> list[str]:
    """Return the mutants as source text; each of them has to be valid Python."""
    found = [mutant.apply(source.encode()).decode() for mutant in mutants_of("m.py", source.encode())]
    for text in found:
        compile(text, "m.py", "exec")
    return found


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b", ["pass", "(a <= b)"]),
        ("a = b != c", ["a = (b == c)"]),
        ("a = b in c", ["a = (b not in c)"]),
        ("a = b < c <= d", ["a = (b < c < d)", "a = (b <= c <= d)"]),
        ("a = b and c", ["a = (b or c)"]),
        ("a = not b", ["a = (b)"]),
        ("a = b + c", ["a = (b - c)"]),
        ("a = b ** c", []),
        ("a = any(b)", ["a = all(b)"]),
        ("a = 'x'", ["a = ''"]),
        ("a = ''", ["a = 'mutant'"]),
        ("a = 1.5", ["a = 2.5"]),
        ("a = None", []),
        ("a = -1", ["a = -2"]),
        ("a: int = 0", ["a: int = 1"]),
        ("a: Literal['x']", []),
        ("a = f'{b < c}'", []),
        ("'''A docstring.'''", []),
        ("import a", []),
        ("if TYPE_CHECKING:\n    a = 1", []),
        ("if a:\n    b()", ["if (not (a)):\n    b()", "if a:\n    pass"]),
        ("a = [b for b in c if d(b)]", ["a = [b for b in c if (not (d(b)))]"]),
        ("a.b = c", ["pass"]),
        ("a += b", ["pass"]),
        ("raise a", ["pass"]),
        ("while a < b:\n    break", ["while (a <= b):\n    break", "while a < b:\n    continue"]),
        ("@a(1)\ndef b(c: int = 1) -> d['x']:\n    return c", ["c: int = 2) -> ", "return None"]),
        ("def a():\n    return None", []),
        ("class A(B, c=1):\n    d = True", ["d = False"]),
        ("é = 'é'; a = 'é' < b", ["é = ''", "a = '' < b", "a = ('é' <= b)"]),
    ],
)
def test_faults(source: str, expected: list[str]) -> None:
    found = changes(source)
    assert len(found) == len(expected)
    assert all(any(part in text for text in found) for part in expected)


def test_places() -> None:
    source = "A = (1,\n     2)\ndef f(a=3):\n    if (a and\n            b):\n        return 4\n"
    found = {m.after: m for m in mutants_of("m.py", source.encode())}
    assert [(m.line, list(m.place.lines), m.place.at_import) for m in found.values()] == [
        (1, [1, 2], True),
        (2, [1, 2], True),
        (3, [3], True),
        (4, [4, 5], False),
        (4, [4, 5], False),
        (6, [6], False),
        (6, [6], False),
    ]
    assert str(found["2"]) == "m.py:1: 1  ->  2"


def test_the_draw_depends_on_seed_and_source_only() -> None:
    source = "".join(f"a{number} = {number} < b\n" for number in range(50)).encode()
    mutants = mutants_of("m.py", source)
    drawn = draw(mutants, 20, 1)
    assert len(drawn) == 20
    assert drawn == draw(mutants, 20, 1)
    assert drawn[:5] == draw(mutants, 5, 1)
    assert drawn != draw(mutants, 20, 2)
    others = draw([*mutants, *mutants_of("n.py", b"a = 1\nb = 2\n")], 20, 1)
    assert len({m for m in others if m.path == "m.py"} & set(drawn)) >= 18
