"""matrix/values: what each leaf of the file accepts, as what, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from metalock.faults import Faults
from metalock.matrix import values
from metalock.platforms import UV_GLIBC_TARGETS, Platform

Reader = Callable[[Faults, object, str], object]


def read(reader: Reader, value: object) -> tuple[object, list[str]]:
    faults = Faults()
    return reader(faults, value, "x"), list(faults.texts)


@pytest.mark.parametrize(
    ("reader", "value", "result"),
    [
        (values.read_specifier, "2.18.1", "==2.18.1"),
        (values.read_specifier, " 2.18.1 ", "==2.18.1"),
        (values.read_specifier, "2.18.*", "==2.18.*"),
        (values.read_specifier, "2.18.0rc1", "==2.18.0rc1"),
        (values.read_specifier, "*", ""),
        (values.read_specifier, "<2, >=1.26", "<2,>=1.26"),
        (values.read_specifier, ">=1.26,<2", "<2,>=1.26"),
        (values.read_specifier, "~=2.0", "~=2.0"),
        (values.read_pip_name, "Tensor_Flow.IO", "tensor-flow-io"),
        (values.read_reason, "It's so; see a|b <c>.", "It's so; see a|b <c>."),
        (values.read_channel, "conda-forge", "conda-forge"),
        (values.read_channel, "conda-forge/label/broken", "conda-forge/label/broken"),
        (values.read_channel, "https://example.invalid:8080/a/b/", "https://example.invalid:8080/a/b"),
        (values.read_pythons, ["3.11", "3.9", "3.10"], ("3.9", "3.10", "3.11")),
        (values.read_variables, {"B": "1", "A": "x y,/:=+@%-"}, {"A": "x y,/:=+@%-", "B": "1"}),
        (values.read_conda_packages, {"pip": "*", "a_b": ">=70,<81"}, {"a_b": ">=70,<81", "pip": "*"}),
        (values.read_conda_packages, {"x": "3.*|=4"}, {"x": "3.*|=4"}),
        (values.read_pip_packages, {"Pillow": "<11"}, {"pillow": "<11"}),
    ],
)
def test_accepted(reader: Reader, value: object, result: object) -> None:
    assert read(reader, value) == (result, [])


BAD_SPECIFIERS = [
    "", " ", ",", "two", ">=", "=1.0", ">= 1.0 <2", "1.0;rm", "$(id)", "`id`", "1.0\n2.0", "===1.0",
    "==1.0,===$(id)", "@ https://example.invalid/x.whl", "1.0 --extra-index-url x", "\uff11.\uff10",
]  # fmt: skip
BAD_PIP_NAMES = [
    "", "a/b", "../x", "-r", "a b", "a;b", "a\n", "a\x00", "a[extra]", "kera\u017f", "\u212aeras", "a.",
]  # fmt: skip
BAD_REASONS = ["", "  ", "two\nlines", "\x1b[31mred", "tab\there", "\u202etxet", "\u2028"]
BAD_CHANNELS = [
    "", "../x", "a/../b", "/abs", "a//b", "a b", "a\n", "-c", "file:///etc", "ftp://example.invalid/x",
    "a;b", "a#b", "https://example.invalid", "https://example.invalid/../x", "https://example.invalid/a?b",
    "conda-f\u043erge",
    "https://u:p@example.invalid/a", "https://example.invalid/t/tk-1/a", "x: y", "[a]", "*a", "&a", "$(id)",
]  # fmt: skip
BAD_PYTHONS = ["3", "2.7", "3.7", "3.08", "3.11.2", "3.100", "three", "3.11 ", "3.\u0661\u0661", ">=3.9"]
BAD_VALUES = [
    '"', "'", "$HOME", "`id`", "a\nb", "a\\", "#x", "{x}", "[x]", "!x", "*x", "&x", "|", ">", "é",
    "\x00",
]  # fmt: skip
BAD_VARIABLES = ["", "1A", "A-B", "A B", "A=B", "A\n", "Ä", "A$"]
BAD_CONDA_NAMES = ["", "A", "-x", "a/b", "../x", "a b", "a\n", "x" * 65, "a[b]", "é"]
BAD_CONDA_SPECS = ["", "x", "1 0", ">=1 <2", "><1", "1;2", "1\n", "$(id)", "1.0[build=x]", "==", ">=1,", "**"]


@pytest.mark.parametrize("text", BAD_SPECIFIERS)
def test_refused_specifier(text: str) -> None:
    assert read(values.read_specifier, text)[0] is None


@pytest.mark.parametrize("text", BAD_PIP_NAMES)
def test_refused_pip_name(text: str) -> None:
    assert read(values.read_pip_name, text)[0] is None
    assert read(values.read_pip_packages, {text: "*"})[0] == {}


@pytest.mark.parametrize("text", BAD_REASONS)
def test_refused_reason(text: str) -> None:
    assert read(values.read_reason, text) == (None, ["x: expected the reason as one line of text"])


@pytest.mark.parametrize("text", BAD_CHANNELS)
def test_refused_channel(text: str) -> None:
    assert len(read(values.read_channel, text)[1]) == 1


@pytest.mark.parametrize("text", BAD_PYTHONS)
def test_refused_python(text: str) -> None:
    result, faults = read(values.read_pythons, [text])
    assert result == ()
    assert len(faults) == 1


@pytest.mark.parametrize("text", BAD_VALUES)
def test_refused_value_of_a_variable(text: str) -> None:
    assert read(values.read_variables, {"A": text})[0] == {}


@pytest.mark.parametrize("name", BAD_VARIABLES)
def test_refused_variable(name: str) -> None:
    assert len(read(values.read_variables, {name: "1"})[1]) == 1


@pytest.mark.parametrize("name", BAD_CONDA_NAMES)
def test_refused_conda_name(name: str) -> None:
    assert read(values.read_conda_packages, {name: "*"})[0] == {}


@pytest.mark.parametrize("spec", BAD_CONDA_SPECS)
def test_refused_conda_spec(spec: str) -> None:
    assert read(values.read_conda_packages, {"x": spec})[0] == {}


def test_a_spec_is_a_string() -> None:
    assert read(values.read_conda_packages, {"x": 3}) == ({}, ["x.x: expected a string, found 3"])
    assert read(values.read_pip_packages, {"x": 3}) == ({}, ["x.x: expected a string, found 3"])


def test_python_is_no_conda_package_of_the_matrix() -> None:
    _, faults = read(values.read_conda_packages, {"python": "3.11.*"})
    assert faults == ["x.python: expected as `python` of each stack"]


@pytest.mark.parametrize(
    "reader",
    [
        values.read_specifier,
        values.read_pip_name,
        values.read_reason,
        values.read_channel,
        values.read_pythons,
        values.read_variables,
        values.read_conda_packages,
        values.read_pip_packages,
        values.read_column,
    ],
)
def test_wrong_type_is_one_fault(reader: Reader) -> None:
    _, faults = read(reader, 3)
    assert len(faults) == 1
    assert faults[0].startswith("x: expected ")
    assert faults[0].endswith("found 3")


@pytest.mark.parametrize(
    ("platform", "good", "bad"),
    [
        (
            Platform.OSX_ARM64,
            ["10.9", "10.15", "11.0", "14.5"],
            ["9.0", "10.16", "12", "12.0.1", "macos", "30.0"],
        ),
        (Platform.OSX_64, ["10.9", "13.3"], ["10.8", "-1", "12.0\n"]),
        (Platform.LINUX_64, list(UV_GLIBC_TARGETS), ["2.5", "2.18", "2.27", "2.41", "2"]),
    ],
)
def test_floors(platform: Platform, good: list[str], bad: list[str]) -> None:
    for text in [*good, *bad]:
        faults = Faults()
        values.read_floor(faults, text, "x", platform)
        assert bool(faults.texts) == (text in bad), text


def test_column_choices() -> None:
    table = {"python": "<3.12", "version": "1.1.0"}
    other = {"python": "*", "version": ">1", "unavailable": "No wheel.", "watch": "JAX_lib >=0.3"}
    result, faults = read(values.read_column, [table, other])
    assert faults == []
    assert isinstance(result, tuple)
    first, second = result
    assert (first.specifier, first.unavailable, first.watch) == ("==1.1.0", None, None)
    assert (first.admits("3.11"), first.admits("3.12")) == (True, False)
    assert (second.specifier, second.unavailable, second.watch) == (">1", "No wheel.", ("jax-lib", ">=0.3"))
    assert second.admits("3.12")


@pytest.mark.parametrize(
    ("value", "faults"),
    [
        ([], ["x: expected at least one table in the array"]),
        (["1.0"], ['x[0]: expected a table, found the string "1.0"']),
        ([{"version": "1"}], ["x[0].python: missing"]),
        ({}, ["x.version: missing"]),
        ({"version": "1", "watch": "jax"}, ["x.watch: expected together with `unavailable`"]),
        ({"version": "1", "unavaliable": "No."}, ['x.unavaliable: unknown key; did you mean "unavailable"?']),
        (
            {"version": "1", "unavailable": "No.", "watch": "a b"},
            ['x.watch: expected a requirement such as "jax>=0.3.15", found the string "a b"'],
        ),
        (
            {"version": "1", "unavailable": "No.", "watch": "jax; python_version < '3'"},
            [
                (
                    'x.watch: expected a requirement such as "jax>=0.3.15", '
                    "found the string \"jax; python_version < '3'\""
                )
            ],
        ),
        ({"version": "1", "unavailable": "No.", "watch": 1}, ["x.watch: expected a string, found 1"]),
    ],
)
def test_column_faults(value: object, faults: list[str]) -> None:
    assert read(values.read_column, value)[1] == faults


def test_packages_stand_once_and_are_no_columns() -> None:
    _, faults = read(values.read_pip_packages, {"Pillow": "*", "pillow": "<10", "NumPy": "*"})
    assert faults == [
        "x.pillow: pillow is named twice",
        "x.NumPy: a column; expected in a stack, not in packages",
    ]
