"""render: the files parse back to what the lock says, and broken templates are reported by line."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources

import pytest
import yaml
from samples import MATRIX, STACK, cell, conda, lock_of, wheel

from metalock.errors import UsageError
from metalock.matrix.model import Cell
from metalock.render import RENDERED, TEMPLATE_SUFFIX, make_renderer

OWN = resources.files("metalock") / "templates"
TEMPLATES = {name: (OWN / f"{name}{TEMPLATE_SUFFIX}").read_text(encoding="utf-8") for name in RENDERED}


def environment(of: Cell, text: str | None = None) -> object:
    return yaml.safe_load(text or make_renderer(TEMPLATES)(of, lock_of(of))["environment.yml"])


def test_environment_parses_back() -> None:
    of = cell(text=MATRIX.replace(STACK, STACK + 'variables = { B = "1", A = "a b, c=d:/e" }\n'))
    tensorflow = wheel("tensorflow", "2.18.1")
    assert environment(of) == {
        "name": "tf2.18-py3.11",
        "channels": ["conda-forge"],
        "dependencies": [
            "pip=1.0=h0_0",
            "python=3.11.9=h0_0",
            {
                "pip": [
                    "--require-hashes",
                    "--only-binary=:all:",
                    f"tensorflow==2.18.1 --hash=sha256:{tensorflow.sha256}",
                ]
            },
        ],
        "variables": {"A": "a b, c=d:/e", "B": "1"},
    }


def test_no_empty_parts() -> None:
    of = cell()
    text = make_renderer(TEMPLATES)(of, lock_of(of, pip={}))["environment.yml"]
    assert yaml.safe_load(text).keys() == {"name", "channels", "dependencies"}
    assert "pip:" not in text


@pytest.mark.parametrize(
    "word", ["on", "No", "TRUE", "null", "y", "1.5", "12", "2026-01-01", "1e5", "0x1", "_1"]
)
def test_yaml_reads_names_as_names(word: str) -> None:
    of = replace(cell(), channels=(word, "https://example.invalid:80/a"), variables={word: word}, env=word)
    table = environment(of)
    assert isinstance(table, dict)
    assert table["channels"] == [word, "https://example.invalid:80/a"]
    assert table["variables"] == {word: word}
    assert table["name"] == word


def test_other_files() -> None:
    of = cell()
    packages = [conda("a", depends=["z"]), conda("z", subdir="noarch", channel="https://example.invalid/c")]
    files = make_renderer(TEMPLATES)(of, lock_of(of, packages))
    lines = {name: [line for line in text.splitlines() if line[:2] != "# "] for name, text in files.items()}
    assert lines["conda.lock"] == [
        "@EXPLICIT",
        f"https://example.invalid/c/noarch/z-1.0-h0_0.conda#sha256:{packages[1].sha256}",
        f"https://conda.anaconda.org/conda-forge/linux-64/a-1.0-h0_0.conda#sha256:{packages[0].sha256}",
    ]
    assert lines["requirements.txt"] == [
        "--only-binary=:all:",
        f"tensorflow==2.18.1 --hash=sha256:{wheel('tensorflow', '2.18.1').sha256}",
    ]
    assert all(text.endswith("\n") and not text.endswith("\n\n") for text in files.values())


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("ok\n{% if %}\n", r"templates/x\.j2, line 2: Expected an expression"),
        ("ok\n{{ cell.env\n", r"templates/x\.j2, line 2: "),
        ("ok\n\n{{ absent }}\n", r"templates/x\.j2, line 3: 'absent' is undefined"),
        ("{{ cell.absent }}", r"templates/x\.j2, line 1: .* has no attribute 'absent'"),
        ("\n{{ cell.env | absent }}", r"templates/x\.j2, line 2: No filter named 'absent'"),
        ("\n{{ cell.python + 1 }}", r"templates/x\.j2, line 2: can only concatenate"),
        ("{% include 'absent' %}", r"templates/x\.j2, line 1: absent"),
        ("\n{{ 1 / 0 }}", r"templates/x\.j2, line 2: division by zero"),
    ],
)
def test_a_broken_template_is_reported_by_line(template: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_renderer({"x": template})(cell(), lock_of(cell()))


def test_a_template_may_ask_for_the_tensorflow_that_is_locked() -> None:
    assert make_renderer({"x": "{{ tensorflow_version }} {{ floor }}"})(cell(), lock_of(cell())) == {
        "x": "2.18.1 glibc 2.28"
    }
