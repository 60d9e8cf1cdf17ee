"""A finished histogram, as the methods that choose ranges read it.

Bins have one width and edges at its multiples, so 0 is an edge and folding negative values onto
positive ones maps bins onto bins. Exact zeros are counted apart: they are stored exactly whatever the
range, and rectifiers make them so frequent that they would hide everything else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Bins:
    """Bins of one width.

    Attributes:
        width: The width of a bin, a power of two.
        first: Bin i holds values from (first + i) * width to below (first + i + 1) * width.
        counts: int64 [bins].
        zeros: How many of the values are exactly 0; they are among those of their bin.
        low: The smallest value.
        high: The largest.
    """

    width: float
    first: int
    counts: Array
    zeros: int
    low: float
    high: float

    @property
    def edges(self) -> Array:
        """float64 [bins + 1]: where bins begin and end, cut to where there are values."""
        edges = (self.first + np.arange(len(self.counts) + 1, dtype=np.float64)) * self.width
        return np.clip(edges, self.low, self.high)

    @property
    def inexact(self) -> Array:
        """int64 [bins]: the counts without the exact zeros."""
        counts = self.counts.copy()
        if self.zeros:
            counts[-self.first] -= self.zeros
        return counts

    @property
    def span(self) -> tuple[int, int]:
        """The first bin and the one after the last, where bins up to 0 belong to them, too."""
        return min(self.first, 0), max(self.first + len(self.counts), 0)

    def folded(self) -> Bins:
        """The absolute values, in bins of the same width."""
        stop = self.first + len(self.counts)
        if self.first >= 0:
            return self
        if stop <= 0:  # all are negative
            return Bins(self.width, -stop, self.counts[::-1], 0, -self.high, -self.low)
        counts = np.zeros(max(-self.first, stop), np.int64)
        counts[: -self.first] += self.counts[: -self.first][::-1]
        counts[:stop] += self.counts[-self.first :]
        return Bins(self.width, 0, counts, self.zeros, 0.0, max(-self.low, self.high))

    def coarsened(self, most: int) -> Bins:
        """The same in bins so wide that about ``most`` (at most one more) span the values and 0."""
        low, high = self.span
        steps = max(math.ceil(math.log2((high - low) / most)), 0)
        first, counts = coarser(self.first, self.counts, steps)
        width = math.ldexp(self.width, steps)
        return Bins(width, first, counts, self.zeros, self.low, self.high)


def coarser(first: int, counts: Array, steps: int) -> tuple[int, Array]:
    """Merges dyadic bins to ones 2**steps as wide.

    Args:
        first: The index of the first bin.
        counts: int64 [bins].
        steps: How often pairs are merged.

    Returns:
        The index of the first bin, and the counts: exactly those of the same values in such bins.
    """
    if not steps:
        return first, counts
    index = (first + np.arange(len(counts), dtype=np.int64)) >> min(steps, 62)
    start = int(index[0])
    merged = np.zeros(int(index[-1]) - start + 1, np.int64)
    np.add.at(merged, index - start, counts)
    return start, merged
