"""What storing a tensor in integers loses, by its histogram or by its numbers.

Ratios of noise to signal power add up where errors are independent, decibels do not; so the functions here give ratios, and
`decibels` is for showing them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .affine import Affine
from .bins import Bins
from .mse import expected_error

Array = np.ndarray[Any, Any]
_BLOCK = 1 << 20
"""Elements of a weight that are looked at together."""


def power(bins: Bins) -> float:
    """The mean square of values, spread evenly inside each bin: the mean of x^2 over [a, b] is (a^2 + ab + b^2) / 3."""
    total = int(bins.counts.sum())
    if not total:
        return 0.0
    low, high = bins.edges[:-1], bins.edges[1:]
    squares = (low * low + low * high + high * high) / 3.0
    return float(squares @ bins.inexact.astype(np.float64)) / total


def clipped(bins: Bins, affine: Affine) -> float:
    """The share of values that are stored as an end of the type though they lie more than half a step beyond it.

    Args:
        bins: The values.
        affine: How they are stored, with one scale.
    """
    total = int(bins.counts.sum())
    if not total:
        return 0.0
    least, most = (float(bound) for bound in affine.bounds)
    half = float(affine.scale) / 2.0
    below = _share_below(bins, least - half)
    above = 1.0 - _share_below(bins, most + half)
    return min(max(below + above, 0.0), 1.0)


def _share_below(bins: Bins, place: float) -> float:
    low, high = bins.edges[:-1], bins.edges[1:]
    widths = np.where(high > low, high - low, 1.0)
    parts = np.where(high > low, np.clip((place - low) / widths, 0.0, 1.0), low < place)
    # Exact zeros fill no width: they lie at the edge of their bin.
    counted = float(parts @ bins.inexact.astype(np.float64)) + (bins.zeros if place > 0 else 0)
    return counted / int(bins.counts.sum())


def noise_of_bins(bins: Bins, affine: Affine) -> float | None:
    """Noise power over signal power of storing values with one scale; None where all are 0."""
    signal = power(bins)
    return expected_error(bins, affine) / signal if signal > 0 else None


def noise_of_steps(affine: Affine, signal: float) -> float | None:
    """The same without a histogram: errors spread evenly over a step have a power of scale^2 / 12.

    Args:
        affine: How values are stored, with one scale; none is clipped.
        signal: Their mean square.
    """
    return float(affine.scale) ** 2 / 12.0 / signal if signal > 0 else None


def noise_of_weights(weight: Array, affine: Affine) -> float | None:
    """Noise power over signal power of storing a constant; exact. None where it is all 0.

    Args:
        weight: Floats of any shape.
        affine: How it is stored.
    """
    signal = noise = 0.0
    axis = affine.axis or 0
    length = weight.shape[axis] if weight.ndim else 1
    rows = max(1, _BLOCK * length // max(weight.size, 1))
    for start in range(0, length, rows):
        part, how = _rows(weight, affine, axis, slice(start, start + rows))
        values = part.astype(np.float64)
        error = how.restored(how.quantised(values)) - values
        signal += float(np.vdot(values, values))
        noise += float(np.vdot(error, error))
    return noise / signal if signal > 0 else None


def _rows(weight: Array, affine: Affine, axis: int, at: slice) -> tuple[Array, Affine]:
    """A part of a weight along an axis, and how it is stored."""
    if not weight.ndim:
        return weight, affine
    part = weight[(slice(None),) * axis + (at,)]
    if affine.axis is None:
        return part, affine
    return part, Affine(affine.qtype, affine.scale[at], affine.zero_point[at], axis)


def decibels(noise: float | None) -> float | None:
    """A ratio of noise to signal power as an SNR in dB; infinite where there is no noise."""
    if noise is None:
        return None
    if noise <= 0:
        return math.inf
    return -10.0 * math.log10(noise) if math.isfinite(noise) else -math.inf
