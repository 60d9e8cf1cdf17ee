"""Bias correction: what rounding the weights adds to each output channel on average, taken off its bias.

The error (W_q - W) x of a layer has the mean (W_q - W) E[x], which rounding leaves different from 0, most of all where a
channel has few weights. It is known from the means of the input's channels. Positions where a convolution reads padding are
ignored: there the mean is nearer to 0.

Source: Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, 2019, section 4.2, with means
from calibration instead of from batch normalisation.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .affine import Affine

Array = np.ndarray[Any, Any]
_BLOCK = 1 << 18


def mean_error_of_conv(weight: Array, affine: Affine, means: Array) -> Array:
    """What rounding a convolution's weights adds to its output channels on average: float64 [outputs].

    Args:
        weight: float32 [outputs, inputs / groups, ...].
        affine: How it is stored.
        means: float64 [inputs] of what it reads; their number tells that of groups.
    """
    outputs, inputs = weight.shape[:2]
    groups = len(means) // inputs
    by_group = means.reshape(groups, inputs)
    found = np.empty(outputs)
    for block in _blocks(weight):
        errors = _rounding(weight, affine, block).reshape(-1, inputs, weight[0, 0].size).sum(axis=2)
        group = np.arange(block.start, block.stop) // (outputs // groups)
        found[block] = (errors * by_group[group]).sum(axis=1)
    return found


def mean_error_of_product(
    weight: Array, affine: Affine, means: Array, *, transposed: bool = False
) -> Array:
    """What rounding a matrix of weights adds to its outputs on average: float64 [outputs].

    Args:
        weight: float32 [inputs, outputs].
        affine: How it is stored.
        means: float64 [inputs] of what it reads.
        transposed: Whether the weights are [outputs, inputs] instead.
    """
    if transposed:
        return np.concatenate([_rounding(weight, affine, b) @ means for b in _blocks(weight)])
    found = np.zeros(weight.shape[1])
    for block in _blocks(weight):
        found += means[block] @ _rounding(weight, affine, block)
    return found


def _rounding(weight: Array, affine: Affine, block: slice) -> Array:
    """What storing some of the weights adds to each: float64, in their shape."""
    own = affine
    if affine.axis == 0:
        own = Affine(affine.qtype, affine.scale[block], affine.zero_point[block], 0)
    part = weight[block]
    return own.restored(own.quantised(part)).astype(np.float64) - part


def _blocks(weight: Array) -> list[slice]:
    """Parts along the first axis, of a bounded size."""
    rows = weight.shape[0]
    step = max(1, _BLOCK // max(1, weight.size // max(1, rows)))
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


def corrected(bias: Array, error: Array) -> Array:
    """A bias without the mean error: float32 [outputs]; errors that are not finite are left."""
    usable = np.where(np.isfinite(error), error, 0.0)
    return (np.asarray(bias, np.float64) - usable).astype(np.float32)
