"""The digest of a RECORD: the same in the wheel and once installed, and different for anything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metalock.records import (
    RecordError,
    installed_digest,
    parse_record,
    parse_table,
    script_names,
    site_path,
    table_text,
    wheel_digest,
)

SITE = "lib/python3.11/site-packages"
POINTS = """\
[console_scripts]
f2py = numpy.f2py:main
pip=pip:main
# off = a:b

[ gui_scripts ]
view = numpy.view:main [extra]

[other]
name = value
"""
WHEEL = """\
numpy/__init__.py,sha256=AAEC,10
"numpy/a,b.py",sha256=AAEE,
numpy/__pycache__/x.cpython-311.pyc,sha256=AAEF,5
numpy-1.data/purelib/numpy/pure.py,sha256=AAEG,11
numpy-1.data/platlib/numpy/plat.so,sha256=AAEH,12
numpy-1.data/scripts/tool,sha256=AAEI,13
numpy-1.data/scripts/view,sha256=AAEJ,14
numpy-1.data/headers/numpy/n.h,sha256=AAEK,15
numpy-1.data/headers/top.h,sha256=AAEL,16
numpy-1.data/data/share/n.txt,sha256=AAEM,17
numpy-1.data/data/bin/other,sha256=AAEN,18
numpy-1.dist-info/METADATA,sha256=AAEO,19
numpy-1.dist-info/RECORD.jws,,
numpy-1.dist-info/RECORD,,
"""
PIP = """\
../../../bin/__pycache__/tool.cpython-311.pyc,,
../../../bin/f2py,sha256=BBEC,200
../../../bin/other,sha256=AAEN,18
../../../bin/pip,sha256=BBED,201
../../../bin/pip3.11,sha256=BBED,201
../../../bin/tool,sha256=BBEE,202
../../../bin/view,sha256=BBEF,203
../../../include/site/python3.11/numpy/numpy/n.h,sha256=AAEK,15
../../../include/site/python3.11/numpy/top.h,sha256=AAEL,16
../../../share/n.txt,sha256=AAEM,17
numpy-1.dist-info/INSTALLER,sha256=BBEG,4
numpy-1.dist-info/METADATA,sha256=AAEO,19
numpy-1.dist-info/RECORD,,
numpy-1.dist-info/REQUESTED,sha256=BBEH,0
numpy-1.dist-info/direct_url.json,sha256=BBEH,0
numpy/__init__.py,sha256=AAEC,10
numpy/__pycache__/__init__.cpython-311.pyc,,
numpy/__pycache__/x.cpython-311.pyc,,
numpy/__pycache__/x.cpython-311.pyc,sha256=AAEF,5
"numpy/a,b.py",sha256=AAEE,
numpy/plat.so,sha256=AAEH,12
numpy/pure.py,sha256=AAEG,11
"""
CONDA_LIKE = PIP.replace("include/site/python3.11", "include/python3.11").replace("\n", "\r\n")
"""Outside of a venv headers have another place; and another end of lines."""


def of_wheel(text: str = WHEEL) -> str:
    return wheel_digest(parse_record(text), script_names(POINTS))


def of_installed(text: str = PIP) -> str:
    placed = ((entry, site_path(entry.path, SITE)) for entry in parse_record(text))
    inside = [entry._replace(path=path) for entry, path in placed if path is not None]
    return installed_digest(inside, script_names(POINTS))


def test_scripts_of_entry_points() -> None:
    assert script_names(POINTS) == {"f2py", "pip", "view"}


@pytest.mark.parametrize("text", [PIP, CONDA_LIKE, "".join(reversed(PIP.splitlines(keepends=True)))])
def test_installed_as_in_the_wheel(text: str) -> None:
    assert of_installed(text) == of_wheel()


def test_only_what_installers_write_is_left_out() -> None:
    """Without any other entry, or with another hash or size, it is another RECORD."""
    lines = PIP.splitlines(keepends=True)
    of_installers = {
        line
        for line in lines
        if ".pyc," in line
        or any(f"bin/{name}," in line for name in ("f2py", "pip", "pip3.11", "view"))
        or any(f"dist-info/{name}" in line for name in ("INSTALLER", "RECORD", "REQUESTED", "direct_url"))
    }
    for line in lines:
        without = PIP.replace(line, "", 1)
        assert (of_installed(without) == of_wheel()) is (line in of_installers), line
    assert of_installed(PIP.replace("sha256=AAEG", "sha256=AAEZ")) != of_wheel()
    assert of_installed(PIP.replace("AAEG,11", "AAEG,12")) != of_wheel()
    assert of_installed(f"{PIP}numpy/more.py,sha256=AAEC,10\n") != of_wheel()
    assert of_installed(f"{PIP}../../../bin/more,sha256=AAEC,10\n") != of_wheel()
    assert of_installed(f"{PIP}numpy/legacy.pyc,sha256=AAEC,10\n") != of_wheel()
    assert of_installed(f"{PIP}other/INSTALLER,sha256=AAEC,10\n") != of_wheel()
    assert of_installed("") != of_wheel()


def test_padding_of_hashes_is_no_difference() -> None:
    assert of_installed(PIP.replace("sha256=AAEG", "sha256=AAEG==")) == of_wheel()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("numpy/a.py", "numpy/a.py"),
        ("numpy/../a.py", "a.py"),
        ("./a.py", "a.py"),
        ("numpy/.libs/a.so", "numpy/.libs/a.so"),
        ("../../../bin/f2py", "../bin/f2py"),
        ("../lib-dynload/x.so", "../lib/python3.11/lib-dynload/x.so"),
        ("../../../../x", None),
        ("../../../..", None),
        ("../../..", None),
        ("/bin/sh", None),
        ("..hidden/x", "..hidden/x"),
    ],
)
def test_places(path: str, expected: str | None) -> None:
    assert site_path(path, SITE) == expected


@pytest.mark.parametrize("text", ["a,b,c,d\n", ",sha256=AAEC,1\n", "a\0b,,\n", f"{'a' * 200_000},,\n"])
def test_what_is_not_a_record(text: str) -> None:
    with pytest.raises(RecordError, match="entry 1"):
        parse_record(text)


@given(st.text())
def test_any_text_is_a_record_or_refused(text: str) -> None:
    try:
        entries = parse_record(text)
    except RecordError:
        return
    assert all(entry.path for entry in entries)
    assert len(wheel_digest(entries, frozenset())) == 64


TABLE = {f"{number:064x}": f"{number + 1:064x}" for number in range(700)}


def test_the_table() -> None:
    text = table_text(dict(reversed(TABLE.items())))
    assert text == table_text(TABLE)
    assert parse_table(text) == TABLE
    assert len(text) < 150_000
    assert len(text.splitlines()) == len(TABLE) + 5, "a wheel a line"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[" * 100_000,
        '{"schema": 2, "records": {}}',
        '{"schema": 1, "records": []}',
        '{"schema": 1, "records": {"a": "b"}}',
        table_text(TABLE).replace("0001", "000G", 1),
        table_text({"0" * 64: "0" * 64}).replace(f'"{"0" * 64}"\n', "1\n"),
        "<<<<<<< HEAD\n" + table_text(TABLE),
    ],
)
def test_what_is_not_the_table(text: str) -> None:
    with pytest.raises(RecordError):
        parse_table(text)
