"""lock/model: digests that stay, and the order that packages are linked in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from samples import MATRIX, STACK, all_cells, cell, conda, lock_of

from metalock.lock.model import Upgrade, cell_inputs, lock_digest
from metalock.platforms import Platform

DIGEST_OF_INPUTS = "970cfba318e506a094a1bce95414a6d4334387ba6f12fca569f4dae5ee66e06a"
DIGEST_OF_LOCK = "b7f0ddf1320075297e25f8ef9f9b42edae3ac1f06f3b6d59336453eea954736e"


def test_digests_are_what_they_were() -> None:
    """Locks that people have committed depend on these: a change here makes every one of them stale."""
    assert cell_inputs(cell()) == DIGEST_OF_INPUTS
    assert lock_digest(lock_of(cell())) == DIGEST_OF_LOCK


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("schema = 1", "# a comment\n\n  schema   =   1"),
        (STACK, STACK.replace('python = ["3.10", "3.11"]\n', "") + 'python = ["3.11", "3.10"]\n'),
        ('"2.18.1"', '"==2.18.1"'),
        ("2026-08-21T00:00:00Z", "2026-08-21T01:00:00+01:00"),
        (STACK, STACK + 'variables = { A = "1" }\n'),
        (STACK, STACK + 'tensorflow-io = { version = ">1", unavailable = "None." }\n'),
        ('glibc = "2.28"\ndefault = "tf2.18-py3.11"', 'glibc = "2.28"\ndefault = "tf2.18-py3.10"'),
        ("tf2.18", "other"),
    ],
)
def test_what_changes_no_lock(old: str, new: str) -> None:
    name = "linux-64/other-py3.11" if new == "other" else "linux-64/tf2.18-py3.11"
    assert cell_inputs(cell(name, MATRIX.replace(old, new))) == cell_inputs(cell())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('["conda-forge"]', '["conda-forge", "main"]'),
        ("2026-08-21T00:00:00Z", "2026-08-21T00:00:01Z"),
        ("2.28", "2.31"),
        ("2.18.1", "2.18.0"),
        (STACK, STACK + 'numpy = "<2"\n'),
        (STACK, STACK + 'packages = { wrapt = "*" }\n'),
        ("[platform.osx-arm64]", '[packages]\nconda = { pip = "*" }\n[platform.osx-arm64]'),
        ("[platform.osx-arm64]", '[packages]\npip = { scipy = "*" }\n[platform.osx-arm64]'),
        ("[platform.osx-arm64]", '[packages]\nfrom-conda = ["wheel"]\n[platform.osx-arm64]'),
    ],
)
def test_what_changes_a_lock(old: str, new: str) -> None:
    assert cell_inputs(cell(text=MATRIX.replace(old, new))) != cell_inputs(cell())


def test_no_two_cells_share_their_inputs() -> None:
    assert len({cell_inputs(one) for one in all_cells()}) == len(all_cells())


def test_any_file_of_a_lock_changes_its_digest() -> None:
    lock = lock_of(cell())
    others = [
        replace(lock, platform=Platform.OSX_64),
        replace(lock, conda=lock.conda[:1]),
        replace(lock, conda=(conda("pip", build="h0_1"), *lock.conda[1:])),
        replace(lock, pip=()),
        replace(lock, pip=(replace(lock.pip[0], sha256="0" * 64),)),
        replace(lock, pip=(replace(lock.pip[0], file="a-1.0-py3-none-any.whl"),)),
    ]
    assert len({lock_digest(one) for one in [lock, *others]}) == 7


def test_what_was_asked_for_is_not_in_the_digest_of_a_lock() -> None:
    """Evidence survives a change of the request that installs the same files."""
    lock = lock_of(cell())
    asked = replace(lock, inputs="0" * 64, floor="2.17", pip=(replace(lock.pip[0], size=1),))
    assert lock_digest(asked) == lock_digest(lock)


LINKS = [
    ({"b": ["a"], "c": ["b"], "a": []}, "abc"),
    ({"a": ["c >=1,<2"], "b": [], "c": ["__unix", "absent"]}, "bca"),
    ({"a": ["b>=1"], "b": ["c[build=x]"], "c": []}, "cba"),
    ({"a": ["b"], "b": ["a"]}, "ba"),
    ({"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a", "d"]}, "cbad"),
    ({"a": ["b", "c"], "b": ["a"], "c": ["a"]}, "bca"),
    ({"a": ["", " b"], "b": []}, "ba"),
]


@pytest.mark.parametrize(("depends", "order"), LINKS)
def test_link_order(depends: dict[str, list[str]], order: str) -> None:
    packages = [conda(name, depends=specs) for name, specs in depends.items()]
    assert "".join(p.name for p in lock_of(cell(), packages).conda_in_link_order()) == order


def test_python_is_linked_before_the_pip_that_it_needs() -> None:
    packages = [
        conda("pip", depends=["python >=3.9", "setuptools"]),
        conda("python", "3.11.9", depends=["pip", "openssl"]),
        conda("setuptools", depends=["python"]),
        conda("openssl"),
    ]
    names = [p.name for p in lock_of(cell(), packages).conda_in_link_order()]
    assert names == ["openssl", "python", "setuptools", "pip"]


def test_upgrade() -> None:
    assert not Upgrade()
    assert Upgrade(everything=True).frees("numpy")
    assert Upgrade(packages=("tf-keras",)).frees("TF_Keras")
    assert not Upgrade(packages=("tf-keras",)).frees("keras")
