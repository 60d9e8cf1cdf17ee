"""Ranges that leave out the rarest values.

The P-th percentile of the n values, sorted, is the value at position P/100 * (n - 1), between two
of them by proportion (numpy's ``linear``). A value's place within its bin is taken from its rank
there; exact zeros and the two extreme values are known exactly. So the result is within a bin of the
percentile of the values themselves, however far apart these lie.
"""

from __future__ import annotations

import math

import numpy as np

from .bins import Bins


def percentile_range(bins: Bins, percent: float, symmetric: bool) -> tuple[float, float]:
    """From the (100 - P)-th percentile to the P-th.

    An end of which no value lies beyond 0 stays where it is: values that are never negative are cut
    at the top only. If symmetric, the P-th percentile of the absolute values, and its negation.

    Args:
        bins: The values.
        percent: P, above 50 and up to 100.
        symmetric: Whether 0 is the middle of the range.
    """
    if symmetric:
        bound = percentile(bins.folded(), percent)
        return -bound, bound
    low = percentile(bins, 100.0 - percent) if bins.low < 0 else 0.0
    high = percentile(bins, percent) if bins.high > 0 else 0.0
    return low, high


def percentile(bins: Bins, percent: float) -> float:
    """The value below which so many percent of the values lie: within a bin of the exact one.

    Args:
        bins: The values, at least one.
        percent: From 0 to 100.
    """
    cumulative = np.cumsum(bins.counts)
    total = int(cumulative[-1])
    position = percent / 100.0 * (total - 1)
    below = min(math.floor(position), total - 1)
    above = min(below + 1, total - 1)
    start, stop = (_ranked(bins, cumulative, rank) for rank in (below, above))
    return start + (stop - start) * (position - below)


def _ranked(bins: Bins, cumulative: np.ndarray, rank: int) -> float:
    """The value of a rank, counted from 0."""
    if rank == 0:
        return bins.low
    if rank == int(cumulative[-1]) - 1:
        return bins.high
    place = int(np.searchsorted(cumulative, rank, side="right"))
    count = int(bins.counts[place])
    inside = rank - (int(cumulative[place]) - count)
    if bins.first + place == 0:  # the zeros come first in the bin that begins at 0
        inside, count = inside - bins.zeros, count - bins.zeros
        if inside < 0:
            return 0.0
    value = (bins.first + place + (inside + 0.5) / count) * bins.width
    return min(max(value, bins.low), bins.high)
