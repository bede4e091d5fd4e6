"""The contract's files are sound, and each capability has just one test."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest

from metalock.errors import DataFileError
from metalock.evidence.contract import Expected, Situation, contract, parse_contract
from metalock.platforms import Platform

SUITE = Path(__file__).parents[2] / "src" / "metalock" / "smoke" / "suite"
PYTHON_FILES = sorted(SUITE.rglob("*.py"))
MINIMAL = '[[capability]]\nname = "a.b"\nquestion = "q?"\nclaim = "c"\n'


def marked_names() -> list[str]:
    """The first argument of every capability marker."""
    found = []
    for path in PYTHON_FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("mark.capability"):
                argument = node.args[0]
                assert isinstance(argument, ast.Constant), f"{path.name}:{node.lineno} names it by a literal"
                found.append(str(argument.value))
    return found


def test_every_capability_has_one_test() -> None:
    names = [capability.name for capability in contract() if capability.device != "gpu"]
    assert sorted(marked_names()) == sorted(names)


def test_names_are_once_and_plain() -> None:
    keys = [capability.key for capability in contract()]
    assert len(set(keys)) == len(keys)
    assert [key for key in keys if not re.fullmatch(r"[a-z0-9-]+\.[a-z0-9.-]+(@cpu|@gpu)?", key)] == []


@pytest.mark.parametrize("path", PYTHON_FILES, ids=lambda path: path.name)
def test_suite_is_python_38_and_knows_nothing_of_metalock(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))
    names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert [name for name in names if name.split(".")[0] == "metalock"] == []


def situation(**versions: str) -> Situation:
    named = {name.replace("_", "-"): version for name, version in versions.items()}
    return Situation(platform=Platform.OSX_ARM64, python=named.pop("python", "3.11.9"), versions=named)


@pytest.mark.parametrize(
    ("when", "versions", "holds"),
    [
        ('{ keras = ">=3" }', {"keras": "3.5.0"}, True),
        ('{ keras = ">=3" }', {"keras": "2.15.0"}, False),
        ('{ keras = ">=3" }', {}, False),
        ('{ tf-keras = "absent" }', {}, True),
        ('{ tf-keras = "absent" }', {"tf_keras": "2.16.0"}, False),
        ('{ python = ">=3.12" }', {"python": "3.11.9"}, False),
        ('{ platform = "osx-*" }', {}, True),
        ('{ platform = "linux-64" }', {}, False),
        ('{ keras = ">=3", python = ">=3.11" }', {"keras": "3.0.0"}, True),
        ('{ device = "gpu" }', {}, False),
        ("{}", {}, True),
    ],
)
def test_conditions(when: str, versions: dict[str, str], *, holds: bool) -> None:
    expect = f'when = {when}\noutcome = "unsupported"\nerror = "e"\ninstead = "i"\n'
    text = f"{MINIMAL}[[capability.expect]]\n{expect}"
    (capability,) = parse_contract(text, "area")
    expected = capability.expected(situation(**versions))
    assert expected.outcome is (Expected.UNSUPPORTED if holds else Expected.WORKS)


@pytest.mark.parametrize(
    ("cpu", "instructions", "holds"),
    [
        ("without avx512f", {"avx2"}, True),
        ("without avx512f", {"avx2", "avx512f"}, False),
        ("with avx512f", {"avx2", "avx512f"}, True),
        ("with avx512f", set(), False),
        ("without avx512f", None, False),
        ("with avx512f", None, False),
    ],
)
def test_the_processor_may_count(cpu: str, instructions: set[str] | None, *, holds: bool) -> None:
    text = f'{MINIMAL}[[capability.expect]]\nwhen = {{ cpu = "{cpu}" }}\n'
    (capability,) = parse_contract(text + 'outcome = "broken"\nerror = "e"\nsource = "s#1"\n', "area")
    known = None if instructions is None else frozenset(instructions)
    expected = capability.expected(replace(situation(), instructions=known))
    assert expected.outcome is (Expected.BROKEN if holds else Expected.WORKS)


def test_devices_make_two() -> None:
    text = f'{MINIMAL}devices = true\n[[capability.expect]]\nwhen = {{ device = "gpu" }}\n'
    text += 'outcome = "broken"\nerror = "e"\nsource = "s#1"\n'
    cpu, gpu = parse_contract(text, "area")
    assert (cpu.key, gpu.key) == ("a.b@cpu", "a.b@gpu")
    assert cpu.expected(situation()).outcome is Expected.WORKS
    assert gpu.expected(situation()).outcome is Expected.BROKEN


def test_every_fault_is_named() -> None:
    text = f"""{MINIMAL}need = ["x"]
[[capability.expect]]
when = {{ keras = "three", cpu = "avx512f" }}
outcome = "brocken"
[[capability.expect]]
outcome = "broken"
error = "e"
"""
    with pytest.raises(DataFileError) as caught:
        parse_contract(text, "area")
    message = str(caught.value)
    for part in (
        "capabilities/area.toml",
        'did you mean "needs"',
        "keras",
        "cpu: expected 'with …'",
        "works, unsupported, broken",
        "source",
    ):
        assert part in message


def test_a_process_of_a_whole_file() -> None:
    text = 'process = "apart"\n' + MINIMAL + MINIMAL.replace("a.b", "a.c") + 'process = "alone"\n'
    assert [capability.process for capability in parse_contract(text, "a")] == ["apart", "alone"]
