"""matrix/parse: a whole file to a `Matrix`, and every fault that one can have."""

from __future__ import annotations

import pytest
from samples import HEAD, MATRIX, PLATFORMS, STACK, cell, faults_of

from metalock.errors import MatrixError
from metalock.matrix.parse import parse_matrix
from metalock.platforms import Platform


def test_a_small_matrix() -> None:
    matrix = parse_matrix(MATRIX)
    assert matrix.channels == ("conda-forge",)
    assert matrix.exclude_newer == "2026-08-21T00:00:00Z"
    assert matrix.defaults == {Platform.OSX_ARM64: "tf2.18-py3.11", Platform.LINUX_64: "tf2.18-py3.11"}
    assert [(row.stack, row.platform, row.pythons, row.floor) for row in matrix.rows] == [
        ("tf2.18", Platform.OSX_ARM64, ("3.10", "3.11"), "12.0"),
        ("tf2.18", Platform.LINUX_64, ("3.10", "3.11"), "2.28"),
    ]


def test_cutoff_is_utc() -> None:
    text = MATRIX.replace("2026-08-21T00:00:00Z", "2026-08-21T02:30:00+02:30")
    assert parse_matrix(text).exclude_newer == "2026-08-21T00:00:00Z"


def test_a_platform_overrides_its_stack() -> None:
    matrix = (
        MATRIX
        + """\
keras = "3.5.*"
packages = { wrapt = "<1.15", six = "*" }
variables = { A = "1", B = "1" }
[stack."tf2.18".osx-arm64]
python = ["3.11"]
keras = "3.6.*"
packages = { wrapt = "<1.14" }
variables = { B = "2" }
macos = "13.0"
"""
    )
    mac, linux = cell("osx-arm64/tf2.18-py3.11", matrix), cell(text=matrix)
    assert mac.pip == {"keras": "==3.6.*", "six": "", "tensorflow": "==2.18.1", "wrapt": "<1.14"}
    assert linux.pip == {"keras": "==3.5.*", "six": "", "tensorflow": "==2.18.1", "wrapt": "<1.15"}
    assert (mac.variables, linux.variables) == ({"A": "1", "B": "2"}, {"A": "1", "B": "1"})
    assert (mac.floor, linux.floor) == ("13.0", "2.28")
    assert [row.pythons for row in parse_matrix(matrix).rows] == [("3.11",), ("3.10", "3.11")]


def test_tensorflow_macos_takes_the_place_of_tensorflow() -> None:
    text = MATRIX + '[stack."tf2.18".osx-arm64]\ntensorflow-macos = "2.18.0"\n'
    mac = cell("osx-arm64/tf2.18-py3.11", text)
    assert (mac.tensorflow.name, dict(mac.pip)) == ("tensorflow-macos", {"tensorflow-macos": "==2.18.0"})
    assert cell(text=text).tensorflow.name == "tensorflow"


def test_packages_for_everyone() -> None:
    packages = """\
[packages]
conda = { setuptools = "<82", pip = "*" }
pip = { SciPy = "*" }
from-conda = ["wheel", "Setup.Tools", "wheel"]
"""
    one = cell(text=HEAD + packages + PLATFORMS + STACK)
    assert list(one.conda.items()) == [("pip", "*"), ("setuptools", "<82")]
    assert one.pip == {"scipy": "", "tensorflow": "==2.18.1"}
    assert one.from_conda == ("setup-tools", "wheel")


CUTOFF = "exclude-newer: expected a date-time with offset, such as 2026-08-21T00:00:00Z, found "
CHANGES = [
    ("schema = 1\n", "", "schema: missing; expected an integer"),
    ("schema = 1", "schema = 2", "schema: expected 1, found 2"),
    ("schema = 1", "schema = true", "schema: expected an integer, found a boolean"),
    ("schema = 1", f"schema = 0x{'f' * 5000}", "schema: expected 1, found an integer"),
    ("schema = 1", "schema = 1\nchannel = 1", 'channel: unknown key; did you mean "channels"?'),
    ('["conda-forge"]', "[]", 'channels: expected at least one channel, such as "conda-forge"'),
    ('["conda-forge"]', '"main"', 'channels: expected an array, found the string "main"'),
    ("2026-08-21T00:00:00Z", "2026-08-21", f"{CUTOFF}a date"),
    ("2026-08-21T00:00:00Z", "0001-01-01T00:00:00+14:00", f"{CUTOFF}0001-01-01T00:00:00+14:00"),
    (PLATFORMS, "", "platform: missing; expected a table"),
    (PLATFORMS, "[platform]\n", "platform: expected a table for at least one of osx-arm64, osx-64, linux-64"),
    (STACK, "", "stack: missing; expected a table"),
    (STACK, "[stack]\n", 'stack: expected at least one stack, such as [stack."tf2.18"]'),
    (STACK, "[stack]\ntf = 3\n", "stack.tf: expected a table, found 3"),
    ('tensorflow = "2.18.1"\n', "", 'stack."tf2.18": no TensorFlow; expected tensorflow or tensorflow-macos'),
    ('python = ["3.10", "3.11"]\n', "", 'stack."tf2.18": no `python`; expected such as ["3.11"]'),
    ('["3.10", "3.11"]', "3.11", 'stack."tf2.18".python: expected an array, found 3.11'),
    ('["3.10", "3.11"]', "[]", 'stack."tf2.18".python: expected at least one Python, such as ["3.11"]'),
    ('["3.10", "3.11"]', '["3.11", "3.11"]', 'stack."tf2.18".python[1]: 3.11 is named twice'),
    (
        '"2.18.1"',
        '[{ python = "<3.11", version = "2.18.1" }]',
        'stack."tf2.18".tensorflow: no choice admits Python 3.11',
    ),
    (
        'macos = "12.0"\ndefault = "tf2.18-py3.11"',
        'macos = "12.0"\ndefault = "tf2.19-py3.11"',
        (
            "platform.osx-arm64.default: expected an environment of this platform, "
            'found the string "tf2.19-py3.11"; did you mean "tf2.18-py3.11"?'
        ),
    ),
]


@pytest.mark.parametrize(("old", "new", "fault"), CHANGES)
def test_one_change_is_one_fault(old: str, new: str, fault: str) -> None:
    assert faults_of(MATRIX.replace(old, new)) == (fault,)


@pytest.mark.parametrize(
    "text", ["a", "a = 'b", "a = 1\na = 2", "\x00", "x = " + "[" * 10000, f"x = {'1' * 5000}"]
)
def test_what_is_no_toml(text: str) -> None:
    with pytest.raises(MatrixError) as caught:
        parse_matrix(text, "some/matrix.toml")
    assert str(caught.value).startswith("some/matrix.toml: 1 fault\n  not valid TOML: ")


def test_a_default_is_judged_with_other_faults() -> None:
    text = MATRIX.replace('default = "tf2.18-py3.11"', 'default = "tf2.18-py3.9"')
    faults = faults_of(text.replace("conda-forge", "conda forge"))
    assert [fault.split(":")[0] for fault in faults] == [
        "channels[0]",
        "platform.osx-arm64.default",
        "platform.linux-64.default",
    ]


def test_a_default_is_not_judged_by_a_faulty_stack() -> None:
    faults = faults_of(MATRIX.replace('["3.10", "3.11"]', '["3.10", "3.l1"]'))
    assert [fault.split(":")[0] for fault in faults] == ['stack."tf2.18".python[1]']


@pytest.mark.parametrize("default", ["", "tf2.18", "-py3.11", "../x"])
def test_a_default_is_an_environment(default: str) -> None:
    old, new = (f'glibc = "2.28"\ndefault = "{env}"' for env in ("tf2.18-py3.11", default))
    faults = faults_of(MATRIX.replace(old, new))
    assert len(faults) == 1
    assert faults[0].startswith("platform.linux-64.default: expected an environment of this platform, ")


def test_a_default_must_be_available() -> None:
    faults = faults_of(MATRIX + '[stack."tf2.18".linux-64]\nunavailable = "No wheel."\n')
    assert faults == ("platform.linux-64.default: tf2.18-py3.11 is unavailable on linux-64",)


def test_a_stack_may_not_speak_of_a_platform_that_the_file_lacks() -> None:
    faults = faults_of(MATRIX + '[stack."tf2.18".osx-64]\nmacos = "12.0"\n')
    assert faults == ('stack."tf2.18".osx-64: this file has no [platform.osx-64]',)


def test_a_faulty_reason_still_makes_no_cell() -> None:
    faults = faults_of(MATRIX + '[stack."tf2.18".linux-64]\nunavailable = ""\nglibc = "12.0"\n')
    assert [fault.split(":")[0] for fault in faults] == [
        'stack."tf2.18".linux-64.glibc',
        'stack."tf2.18".linux-64.unavailable',
    ]


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "a/b",
        "/abs",
        "a\\nb",
        "a\\u0000",
        "x" * 65,
        "tf\\u0131",
        ".hidden",
        "a..b",
        "-a",
        "A",
        "",
        "a b",
        "$(id)",
    ],
)
def test_no_stack_escapes_its_folder(name: str) -> None:
    text = HEAD + PLATFORMS + STACK.replace("tf2.18", name)
    assert any(fault.endswith("joined by single dots, _ or -") for fault in faults_of(text))
