"""Values as statistics see them: float32, finite.

Scales are float32, and every shorter float type is contained in it. Seeing all values as float32 makes
statistics independent of the type a tensor happens to have, and makes each a multiple of 2**-149, so
that sums over samples can be exact.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def as_float32(array: Array) -> Array:
    """Values as float32; no copy where they are.

    Args:
        array: Of any shape and any float type, those of ``ml_dtypes`` included.

    Raises:
        ValueError: It holds no floats.
    """
    array = np.asarray(array)
    if array.dtype == np.float32:
        return array
    if array.dtype.kind != "f" and not array.dtype.name.startswith(("bfloat", "float")):
        raise ValueError(f"has the type {array.dtype.name}; only floats can be quantised")
    with np.errstate(over="ignore", under="ignore"):
        return array.astype(np.float32)


def limits(array: Array) -> tuple[float, float]:
    """The smallest and the largest value.

    Args:
        array: float32, of any shape, not empty.

    Raises:
        ValueError: A value is NaN, infinite or beyond float32.
    """
    with np.errstate(invalid="ignore"):
        # Adding 0 turns -0 into 0: which of the two a minimum gives depends on the order.
        low, high = float(array.min()) + 0.0, float(array.max()) + 0.0
    if math.isfinite(low) and math.isfinite(high):
        return low, high
    if math.isnan(low) or math.isnan(high):
        raise ValueError("has a NaN")
    raise ValueError("has an infinite value, or one beyond float32")


def stored(value: Any) -> float:
    """A float32 that was written to a file as a number.

    Raises:
        ValueError: It isn't a finite float32.
    """
    number = float(value)
    with np.errstate(over="ignore", under="ignore"):
        same = float(np.float32(number)) == number
    if not (same and math.isfinite(number)):
        raise ValueError(f"{value} is not a finite float32")
    return number
