"""matrix/expand: rows to cells, and the choice among cells."""

from __future__ import annotations

import pytest
from samples import MATRIX, all_cells, cell

from metalock.errors import NothingSelectedError, UsageError
from metalock.matrix.expand import require_available, select
from metalock.platforms import Platform

UNAVAILABLE = (
    MATRIX
    + """\
[stack."old"]
python = ["3.9", "3.10"]
tensorflow = [
  { python = "<3.10", version = "2.9.1", unavailable = "Needs jax.", watch = "jax>=0.3" },
  { python = "*", version = "2.9.3" },
]
keras = [{ python = "3.10", version = "2.9.*" }]
tensorflow-io = { version = ">0.37", unavailable = "None is built." }
[stack."old".osx-arm64]
unavailable = "No wheel."
"""
)


def test_order_is_the_files() -> None:
    assert [c.name for c in all_cells(UNAVAILABLE)] == [
        "osx-arm64/tf2.18-py3.10",
        "osx-arm64/tf2.18-py3.11",
        "linux-64/tf2.18-py3.10",
        "linux-64/tf2.18-py3.11",
        "osx-arm64/old-py3.9",
        "osx-arm64/old-py3.10",
        "linux-64/old-py3.9",
        "linux-64/old-py3.10",
    ]
    assert [c.name for c in all_cells(UNAVAILABLE) if c.is_default] == [
        "osx-arm64/tf2.18-py3.11",
        "linux-64/tf2.18-py3.11",
    ]


def test_the_first_choice_that_admits_the_python_counts() -> None:
    left, right = cell("linux-64/old-py3.9", UNAVAILABLE), cell("linux-64/old-py3.10", UNAVAILABLE)
    assert (left.tensorflow.specifier, left.unavailable) == ("==2.9.1", "Needs jax.")
    assert left.tensorflow.watched == ("jax", ">=0.3")
    assert (right.tensorflow.specifier, right.unavailable) == ("==2.9.3", None)
    assert left.column("keras") is None
    assert right.pip == {"keras": "==2.9.*", "tensorflow": "==2.9.3"}


def test_an_unavailable_column_is_not_asked_for_but_watched() -> None:
    column = cell("linux-64/old-py3.10", UNAVAILABLE).column("tensorflow-io")
    assert column is not None
    assert (column.unavailable, column.watched) == ("None is built.", ("tensorflow-io", ">0.37"))


def test_a_platforms_reason_holds_for_its_cells() -> None:
    assert cell("osx-arm64/old-py3.10", UNAVAILABLE).unavailable == "No wheel."


def test_select() -> None:
    cells = all_cells(UNAVAILABLE)
    assert select(cells) == cells
    assert [c.name for c in select(cells, platforms=[Platform.LINUX_64], envs=["old-py3.9"])] == [
        "linux-64/old-py3.9"
    ]
    with pytest.raises(
        UsageError, match=r"no environment 'tf2\.18-py3\.1' .*; did you mean \"tf2\.18-py3\.1[01]\"\?"
    ):
        select(cells, envs=["tf2.18-py3.1"])
    with pytest.raises(NothingSelectedError) as caught:
        select(cells, platforms=[Platform.OSX_64], envs=["old-py3.9"])
    assert caught.value.exit_code == 5


def test_require_available() -> None:
    cells = all_cells(UNAVAILABLE)
    assert len(require_available(cells)) == 5
    with pytest.raises(
        NothingSelectedError, match=r"nothing selected, unavailable: linux-64/old-py3\.9: Needs jax\."
    ):
        require_available(select(cells, platforms=[Platform.LINUX_64], envs=["old-py3.9"]))
