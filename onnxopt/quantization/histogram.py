"""Histograms of streams: any order of the data, and any merging of parts, gives the same bins.

Bins are dyadic: their width is 2**exponent and their edges are its multiples, so two neighbours
(2i, 2i + 1) are together a bin of the next exponent, and widening moves no value to a wrong bin: the
floor of (the floor of x / w) / 2 is the floor of x / 2w. The exponent is a function of the smallest and the
largest value alone and never falls as these move apart; hence a histogram is a function of the multiset
of its values.

Values are scaled in float32, which is exact: the scale is a power of two, and no index is above 2**24.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .bins import Bins, coarser
from .floats import as_float32, limits, stored
from .packing import pack, unpack

Array = np.ndarray[Any, Any]
BINS = 4096
"""The most bins that are spanned; where the range allows, over half as many are."""
# Indices of float32's 24 significant bits: finer bins could not be told apart.
_INDEX_BITS = 24
# 2 to the power of its negation is a float32, too.
_LEAST_EXPONENT = -126
_BLOCK = 32768  # elements: a block and what is computed from it stay in the cache


class Histogram:
    """Counts of values in dyadic bins.

    Attributes:
        low: The smallest value seen; 0 before any.
        high: The largest.
        zeros: How many values were exactly 0.
        exponent: A bin's width is 2**exponent.
        first: The index of the first bin; bin i begins at i * 2**exponent.
        counts: int64 [bins], from the bin of ``low`` to the bin of ``high``; [0] before any value.
    """

    def __init__(self) -> None:
        self.low = 0.0
        self.high = 0.0
        self.zeros = 0
        self.exponent = 0
        self.first = 0
        self.counts: Array = np.zeros(0, np.int64)

    @property
    def total(self) -> int:
        """How many values were counted."""
        return int(self.counts.sum())

    @property
    def bins(self) -> Bins:
        """What was counted, for reading."""
        width = math.ldexp(1.0, self.exponent)
        return Bins(width, self.first, self.counts, self.zeros, self.low, self.high)

    def update(self, array: Array, within: tuple[float, float] | None = None) -> None:
        """Counts values.

        Args:
            array: Floats of any shape; nothing happens if it has no element.
            within: Its smallest and largest value as ``floats.limits`` gives them, where known.

        Raises:
            ValueError: The array isn't of floats, or a value isn't finite; nothing was counted.
        """
        array = as_float32(array)
        if not array.size:
            return
        self._widen(*(within or limits(array)))
        self._count(array.ravel(order="K"))

    def merge(self, other: Histogram) -> None:
        """Adds another histogram's counts."""
        if not other.counts.size:
            return
        self._widen(other.low, other.high)
        first, counts = coarser(other.first, other.counts, self.exponent - other.exponent)
        offset = first - self.first
        self.counts[offset : offset + len(counts)] += counts
        self.zeros += other.zeros

    def to_json(self) -> dict[str, Any]:
        """Plain data, from which ``from_json`` makes the same histogram."""
        return {
            "low": self.low,
            "high": self.high,
            "zeros": self.zeros,
            "exponent": self.exponent,
            "first": self.first,
            "counts": pack(self.counts),
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> Histogram:
        """Reads what ``to_json`` gave.

        Raises:
            ValueError: It isn't a histogram.
            KeyError: A part is missing.
        """
        histogram = Histogram()
        if data["counts"] == pack(histogram.counts):
            return histogram
        histogram._widen(stored(data["low"]), stored(data["high"]))
        if (histogram.exponent, histogram.first) != (data["exponent"], data["first"]):
            raise ValueError("its bins do not fit its range")
        histogram.counts = unpack(data["counts"], len(histogram.counts))
        histogram.zeros = int(data["zeros"])
        if not histogram._possible():
            raise ValueError("its counts are impossible")
        return histogram

    def _possible(self) -> bool:
        index = -self.first
        room = int(self.counts[index]) if 0 <= index < len(self.counts) else 0
        ends = self.counts[0] > 0 and self.counts[-1] > 0
        return bool(ends and self.counts.min() >= 0 and 0 <= self.zeros <= room)

    def _widen(self, low: float, high: float) -> None:
        """Spans this range too, with the bins that the whole range asks for."""
        if self.counts.size:
            low, high = min(low, self.low), max(high, self.high)
            if (low, high) == (self.low, self.high):
                return
        exponent = exponent_of(low, high)
        first, last = _index(low, exponent), _index(high, exponent)
        counts = np.zeros(last - first + 1, np.int64)
        if self.counts.size:
            start, old = coarser(self.first, self.counts, exponent - self.exponent)
            counts[start - first : start - first + len(old)] = old
        self.low, self.high, self.exponent, self.first = low, high, exponent, first
        self.counts = counts

    def _count(self, flat: Array) -> None:
        # In float32, a tiny negative value over a wide bin would round to -0, out of its bin.
        kind = np.float64 if self.exponent > 0 and self.low < 0 else np.float32
        scale, first = kind(math.ldexp(1.0, -self.exponent)), kind(self.first)
        types = (kind, np.int32, np.intp, np.bool_)
        buffers = [np.empty(min(flat.size, _BLOCK), t) for t in types]
        for start in range(0, flat.size, _BLOCK):
            block = flat[start : start + _BLOCK]
            scaled, places, indices, zero = (buffer[: block.size] for buffer in buffers)
            np.multiply(block, scale, out=scaled)
            np.floor(scaled, out=scaled)
            np.subtract(scaled, first, out=scaled)
            # By way of int32: the processor converts floats to it much faster than to int64.
            np.copyto(places, scaled, casting="unsafe")
            np.copyto(indices, places)
            self.counts += np.bincount(indices, minlength=len(self.counts))
            self.zeros += int(np.count_nonzero(np.equal(block, 0, out=zero)))


def exponent_of(low: float, high: float) -> int:
    """The exponent of the finest bins that span a range.

    Args:
        low: The smallest value, of float32.
        high: The largest.
    """
    largest = max(-low, high)
    exponent = max(_LEAST_EXPONENT, math.frexp(largest)[1] - _INDEX_BITS)
    while _index(high, exponent) - _index(low, exponent) >= BINS:
        exponent += 1
    return exponent


def _index(value: float, exponent: int) -> int:
    return math.floor(math.ldexp(value, -exponent))
