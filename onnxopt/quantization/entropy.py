"""Ranges that keep the most of a distribution's information.

For each candidate range the distribution P, with what is clipped added to the outermost bins, is compared
with Q, what quantisation leaves of it: the bins of one level share its values evenly among those of them
that P uses. The candidate of the least Kullback-Leibler divergence wins (S. Migacz, "8-bit inference with
TensorRT", GTC 2017). That needs many bins a level; with as few bins as levels, every range seems
lossless. Histograms here have 2049 to 4096 bins where the values allow; folded about 0, for symmetric
ranges, they may have half as many, and there are half as many levels: at least 8 bins for each of 8-bit types.

Three sums give a candidate's divergence without forming P and Q: of counts, of used bins, and of
count * log(count); so all candidates can be tried. Exact zeros are left out, because they survive any range.
A used bin for which the level has no values is smoothed: it gets a small share, not none.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .bins import Bins
from .types import QType

Array = np.ndarray[Any, Any]
_MOST_BINS = 4096
_LEAST_BINS = 128  # no candidate has fewer
_SMOOTHING = 1e-4  # of the average count of used bins
_MOST_CLIPPED = 0.5  # of the values; ranges that clip more aren't candidates
_COARSE = 40  # candidates for each end, when both are searched
_BATCH = 512


def entropy_range(bins: Bins, qtype: QType, symmetric: bool) -> tuple[float, float]:
    """The range of the least divergence.

    Where there are too few bins to tell (fewer than twice the type's levels, as for 16 bits or for
    values of few kinds), the whole range.

    Args:
        bins: The values.
        qtype: The integer type.
        symmetric: Whether 0 is the middle of the range.
    """
    levels = qtype.levels
    if symmetric:
        bins, levels = bins.folded(), levels // 2
    bins = bins.coarsened(_MOST_BINS)  # where all lie far from 0, theirs are too fine
    low, high = bins.span
    if high - low < 2 * levels or high - low < _LEAST_BINS:
        return bins.low, bins.high
    divergence = _Divergence(bins, low, high, levels)
    start, end = _search(divergence, low, high, max(levels, _LEAST_BINS))
    return max(start * bins.width, bins.low), min(end * bins.width, bins.high)


class _Divergence:
    """The divergence as a function of ranges, given by bins; from bin ``low`` to before ``high``."""

    def __init__(self, bins: Bins, low: int, high: int, levels: int) -> None:
        counts = np.zeros(high - low)
        counts[bins.first - low :][: len(bins.counts)] = bins.inexact
        self._low, self._levels, self._counts = low, levels, counts
        self._mass = _running(counts)
        self._used = _running(counts > 0)
        self._entropy = _running(_xlogx(counts))
        self._share = _SMOOTHING * self._mass[-1] / max(self._used[-1], 1.0)

    def __call__(self, start: Array, stop: Array) -> Array:
        """Divergences [C] of ranges from bins ``start`` to before ``stop`` [C]."""
        parts = range(0, len(start), _BATCH)
        return np.concatenate([self._some(start[i:][:_BATCH], stop[i:][:_BATCH]) for i in parts])

    def _some(self, start: Array, stop: Array) -> Array:
        start, stop = start - self._low, stop - self._low
        total = self._mass[-1]
        if not total:
            return np.zeros(len(start))
        cut_low, cut_high = self._mass[start], total - self._mass[stop]
        first, last = self._counts[start], self._counts[stop - 1]
        entropy = self._entropy[stop] - self._entropy[start] - _xlogx(first) - _xlogx(last)
        entropy += _xlogx(first + cut_low) + _xlogx(last + cut_high) - _xlogx(total)
        part = np.linspace(0.0, 1.0, self._levels + 1)
        edges = np.rint(start[:, None] + (stop - start)[:, None] * part).astype(np.intp)
        kept, used = np.diff(self._mass[edges], axis=1), np.diff(self._used[edges], axis=1)
        used[:, 0] += (first == 0) & (cut_low > 0)
        used[:, -1] += (last == 0) & (cut_high > 0)
        shared = kept + self._share * used
        mass = shared.sum(axis=1, keepdims=True)
        kept[:, 0] += cut_low
        kept[:, -1] += cut_high
        with np.errstate(divide="ignore", invalid="ignore"):
            cross = np.where(kept > 0, kept * np.log(shared / (used * mass)), 0.0).sum(axis=1)
        # With nearly all in the outermost bins, P and Q are alike, and both worthless.
        return np.where(
            cut_low + cut_high > _MOST_CLIPPED * total, np.inf, (entropy - cross) / total
        )


def _search(divergence: _Divergence, low: int, high: int, least: int) -> tuple[int, int]:
    """The best range of at least so many bins that holds the edge 0."""
    if low == 0:
        ends = np.arange(least, high + 1)
        return 0, int(ends[np.argmin(divergence(np.zeros_like(ends), ends))])
    if high == 0:
        starts = np.arange(low, -least + 1)
        return int(starts[np.argmin(divergence(starts, np.zeros_like(starts)))]), 0
    starts = np.unique(np.linspace(low, 0, _COARSE).round().astype(np.int64))
    ends = np.unique(np.linspace(0, high, _COARSE).round().astype(np.int64))
    best = _best(divergence, starts, ends, least)
    step = max(-low, high) // _COARSE
    while step:
        step //= 2
        near = np.arange(-2, 3) * max(step, 1)
        starts = np.unique(np.clip(best[0] + near, low, 0))
        ends = np.unique(np.clip(best[1] + near, 0, high))
        best = _best(divergence, starts, ends, least)
    return best


def _best(divergence: _Divergence, starts: Array, ends: Array, least: int) -> tuple[int, int]:
    start, end = (a.reshape(-1) for a in np.meshgrid(starts, ends))
    wide = end - start >= least
    start, end = start[wide], end[wide]
    place = int(np.argmin(divergence(start, end)))
    return int(start[place]), int(end[place])


def _running(values: Array) -> Array:
    """Sums of the values before each place: float64 [n + 1]."""
    return np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])


def _xlogx(values: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(values > 0, values * np.log(values), 0.0)
