"""The comparison of what a device computed with what is expected: the only definition of the tolerance.

A value may be off by 16 roundings of its dtype, times how many of them follow one another (`depth`: the
terms of the longest sum, or the steps of a training), times the largest value expected (at least 1). Whole
numbers and truth values have to be exact, and so have the shape and the dtype.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

ROUNDINGS = 16
EPSILON = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}


@dataclass(frozen=True)
class Run:
    """What was computed, and how."""

    what: str
    device: str
    mode: str
    dtype: str = "float32"
    depth: int = 8

    def __str__(self) -> str:
        return f"{self.what} on {self.device}, {self.mode}"


def tolerance(dtype: str, depth: int, largest: float) -> float:
    """Return the largest error allowed; it is zero for whole numbers."""
    return ROUNDINGS * EPSILON.get(dtype, 0.0) * depth * max(1.0, largest)


def compare(run: Run, found: Any, expected: Any) -> float:
    """Return the largest error; raise `AssertionError` with the first value that is off by too much."""
    dtype = getattr(getattr(found, "dtype", None), "name", type(found).__name__)
    assert dtype == run.dtype, f"{run}: expected {run.dtype}, found {dtype}"
    computed, wanted = np.asarray(found).astype(np.float64), np.asarray(expected, np.float64)
    assert computed.shape == wanted.shape, f"{run}: expected shape {wanted.shape}, found {computed.shape}"
    if not wanted.size:
        return 0.0
    allowed = tolerance(dtype, run.depth, float(np.abs(wanted[np.isfinite(wanted)]).max(initial=0.0)))
    error = np.where(computed == wanted, 0.0, np.abs(computed - wanted))
    error[np.isnan(computed) & np.isnan(wanted)] = 0.0
    wrong = np.argwhere(~(error <= allowed))  # so that NaN is wrong
    if len(wrong):
        at = tuple(int(number) for number in wrong[0])
        raise AssertionError(
            f"{run}: at {at} expected {wanted[at]:.9g}, found {computed[at]:.9g}, "
            f"off by {error[at]:.3g} where {allowed:.3g} is allowed; "
            f"{len(wrong)} of {wanted.size} values wrong"
        )
    return float(error.max())
