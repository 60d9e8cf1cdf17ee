"""Scales for weights: by their extremes, or clipped where that makes the squared error smaller.

A narrower range rounds most values more finely and clips a few. The search tries a grid of shares of the largest value,
each channel on its own. Weights are read in blocks of rows, so that a large one is never held in double precision.
Source: the grid search over the mean squared error of Nagel et al., "A White Paper on Neural Network Quantization",
2021, section 3.1.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..errors import UsageError
from .affine import Affine, Array, from_range
from .types import QType

METHODS = ("minmax", "mse")
"""How the range of a weight is chosen."""
_SHARES = np.linspace(1.0, 0.7, 13)
_BLOCK_ELEMENTS = 1 << 20


def weight_affine(
    weight: Array, stored: QType, *, symmetric: bool, channels: bool, method: str = "minmax"
) -> Affine:
    """The scales and zero points that a matrix of weights is stored with.

    Args:
        weight: Real values, [rows, channels].
        stored: The integer type.
        symmetric: Whether 0 is stored as the middle of the type's values.
        channels: Whether each column has a scale of its own.
        method: One of ``METHODS``.

    Raises:
        UsageError: There is no such method.
    """
    if method not in METHODS:
        raise UsageError(f"no method {method!r} for weights; choose {' or '.join(METHODS)}")
    over = 0 if channels else None
    low = np.min(weight, axis=over, initial=0.0)
    high = np.max(weight, axis=over, initial=0.0)
    axis = 1 if channels else None
    if method == "minmax" or not weight.size:
        return from_range(low, high, stored, symmetric=symmetric, axis=axis)
    tried = [
        from_range(share * low, share * high, stored, symmetric=symmetric, axis=axis)
        for share in _SHARES
    ]
    best = np.argmin([squared_error(weight, each) for each in tried], axis=0)
    if not channels:
        return tried[int(best)]
    columns = np.arange(weight.shape[1])
    scale = np.stack([each.scale for each in tried])[best, columns]
    zero = np.stack([each.zero_point for each in tried])[best, columns]
    return Affine(stored, scale, zero, axis)


def squared_error(weight: Array, affine: Affine) -> Array:
    """The sum of squared differences between weights and what is read back of them.

    The steps are rounded in single precision, which is exact enough to compare ranges by.

    Args:
        weight: Real values, [rows, channels].
        affine: How they are stored.

    Returns:
        float64, one number for each channel [channels], or a scalar array where there is one scale for all.
    """
    over = None if affine.axis is None else 0
    zero = affine.zero_point.astype(np.float32)
    low, high = affine.qtype.low - zero, affine.qtype.high - zero
    total = np.zeros(affine.scale.shape)
    for rows in _blocks(weight):
        block = weight[rows].astype(np.float32, copy=False)
        error = block / affine.scale
        np.rint(error, out=error)
        np.clip(error, low, high, out=error)
        error *= affine.scale
        error -= block
        total += np.sum(np.square(error, out=error), axis=over, dtype=np.float64)
    return total


def stored_weight(weight: Array, affine: Affine) -> Array:
    """Rounds a matrix of weights.

    Args:
        weight: Real values, [rows, channels].
        affine: How they are stored.

    Returns:
        An array of the stored type, of the same shape, in C order.
    """
    made = np.empty(weight.shape, affine.qtype.dtype.numpy())
    for rows in _blocks(weight):
        made[rows] = affine.quantised(weight[rows])
    return made


def _blocks(weight: Array) -> Iterator[slice]:
    """Slices of rows, each of about a million elements."""
    step = max(1, _BLOCK_ELEMENTS // max(weight.shape[1], 1))
    return (slice(at, at + step) for at in range(0, weight.shape[0], step))
