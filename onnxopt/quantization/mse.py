"""Ranges of the least mean squared error.

A histogram, with values spread evenly inside each bin, gives the expected squared error of any scale and
zero point in closed form. With x in units of the scale, n = clip(round(x)) what is stored (less the zero
point) and r = x - n, the error's integral from 0 to x is n/12 + r**3/3: a cell that is passed adds 1/12,
and beyond the last level r grows, which is the clipping error. Exact zeros have none, and values at
an end of the data that fill no width are taken as points.

Scale and zero point are those that `affine.from_range` gives, so their rounding counts too. Where 0 is
not the middle, the two ends are searched together: clipping one pays only in so far as it shrinks the step
for both. The search is coarse to fine, over factors of the smallest and the largest value.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .affine import Affine, from_range
from .bins import Bins
from .types import QType

Array = np.ndarray[Any, Any]
_LEAST = 2.0**-10  # the shortest range that is tried, as a part of the whole
_COARSE = 25  # factors from 1 to _LEAST, when each end has its own
_COARSE_SINGLE = 97
_ROUNDS = 7  # each halves the step
_BATCH = 16
_FEW_BINS = 1024  # are enough to find where to look closer


def mse_range(bins: Bins, qtype: QType, symmetric: bool) -> tuple[float, float]:
    """The range of the least expected squared error.

    Args:
        bins: The values.
        qtype: The integer type.
        symmetric: Whether 0 is the middle of the range.
    """
    if symmetric:
        largest = max(-bins.low, bins.high)
        span = np.array([[-largest, largest]])
    else:
        span = np.array([[min(bins.low, 0.0), 0.0], [0.0, max(bins.high, 0.0)]])
        span = span[np.any(span != 0, axis=1)]
    rough = _Error(bins.coarsened(_FEW_BINS), qtype, symmetric)
    factors = _search(rough, _Error(bins, qtype, symmetric), span)
    low, high = factors @ span
    return float(low), float(high)


def expected_error(bins: Bins, affine: Affine) -> float:
    """The expected squared error of storing a value with one scale and zero point."""
    scale = affine.scale.astype(np.float64).reshape(1)
    error = _Terms(bins).errors(scale, affine.zero_point.reshape(1), affine.qtype)
    return float(error[0]) / max(int(bins.counts.sum()), 1)


class _Terms:
    """The bins, ready to be integrated over."""

    def __init__(self, bins: Bins) -> None:
        counts, edges = bins.inexact.astype(np.float64), bins.edges
        widths = np.diff(edges)
        points = (counts > 0) & (widths < 1e-3 * bins.width)
        wide = (counts > 0) & ~points
        density = np.divide(counts, widths, out=np.zeros_like(counts), where=wide)
        # Between the edges that are kept lies a bin with values, or a gap of density 0.
        kept = np.flatnonzero(np.append(wide, False) | np.insert(wide, 0, False))
        self._edges, self._density = edges[kept], density[kept[:-1]]
        self._points, self._weights = edges[:-1][points], counts[points]

    def errors(self, scale: Array, zero: Array, qtype: QType) -> Array:
        """Sums of squared errors, one for each scale and zero point [C]."""
        scale = scale.reshape(-1, 1)
        zero = zero.reshape(-1, 1).astype(np.float64)
        low, high = qtype.low - zero, qtype.high - zero
        integral = _integral(self._edges / scale, low, high)
        total = np.diff(integral, axis=1) @ self._density * scale[:, 0] ** 3
        places = self._points / scale
        apart = (places - np.clip(np.rint(places), low, high)) * scale
        errors: Array = total + apart**2 @ self._weights
        return errors


def _integral(places: Array, low: Array, high: Array) -> Array:
    """The squared rounding error, in steps, integrated from 0 to each place, which are overwritten."""
    level = np.rint(places)
    np.clip(level, low, high, out=level)
    rest = np.subtract(places, level, out=places)
    integral = rest * rest
    integral *= rest
    integral *= 4.0
    integral += level
    integral /= 12.0
    return integral


class _Error:
    """The expected error as a function of ranges."""

    def __init__(self, bins: Bins, qtype: QType, symmetric: bool) -> None:
        self._terms = _Terms(bins)
        self._qtype = qtype
        self._symmetric = symmetric

    def __call__(self, ranges: Array) -> Array:
        """Errors [C] of ranges [C, 2]."""
        low, high = ranges[:, 0], ranges[:, 1]
        affine = from_range(low, high, self._qtype, symmetric=self._symmetric)
        scale, zero = affine.scale.astype(np.float64), affine.zero_point
        batches = range(0, len(ranges), _BATCH)
        parts = [(scale[i : i + _BATCH], zero[i : i + _BATCH]) for i in batches]
        return np.concatenate([self._terms.errors(s, z, self._qtype) for s, z in parts])


def _search(rough: _Error, error: _Error, span: Array) -> Array:
    """The best factors of each end, in (0, 1]: [ends]."""
    ends = len(span)
    count = _COARSE_SINGLE if ends == 1 else _COARSE
    step = _LEAST ** (1.0 / (count - 1))
    best = _best(rough, span, _grid(step ** np.arange(count), ends))
    for _ in range(_ROUNDS):
        step = step**0.5
        near = best * _grid(step ** np.arange(-2, 3), ends)
        best = _best(error, span, np.minimum(near, 1.0))
    return best


def _grid(factors: Array, ends: int) -> Array:
    """All combinations of factors for so many ends: [factors ** ends, ends]."""
    return np.stack(np.meshgrid(*[factors] * ends, indexing="ij"), axis=-1).reshape(-1, ends)


def _best(error: _Error, span: Array, factors: Array) -> Array:
    best: Array = factors[int(np.argmin(error(factors @ span)))]
    return best
