"""Adding up figures sample by sample, without keeping samples."""

from __future__ import annotations

import math

import numpy as np

from onnxopt.runtime.quality.decisions import Decisions
from onnxopt.runtime.quality.figures import Figures


class Tally:
    """Compares one output over all samples.

    Elements that are not finite in the reference (masks of infinities) are left out. One that is not finite in the other
    model alone is an infinite error.
    """

    def __init__(self) -> None:
        self.samples = 0
        self.unlike = 0
        self._signal = self._noise = self._max_abs = 0.0
        self._cosines = _Cosines()
        self._decisions = Decisions()
        self._agreed = self._positions = 0

    def add(self, reference: np.ndarray, other: np.ndarray) -> None:
        """Takes a sample: float arrays of any shape. Another shape counts as all zeros."""
        self.samples += 1
        r = reference.astype(np.float64)
        if other.shape != reference.shape:
            self.unlike += 1
            self._positions += _positions(reference)
            c = np.zeros_like(r)
        else:
            c = other.astype(np.float64)
            self._agree(r, c)
        self._decisions.add(r, c)
        usable = np.isfinite(r)
        r = np.where(usable, r, 0.0)
        c = np.where(usable, c, 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            error = np.asarray(np.abs(c - r))  # of scalars numpy makes no array
            error[np.isnan(error)] = np.inf
            self._signal += float(np.vdot(r, r))
            self._noise += float(np.vdot(error, error))
            self._max_abs = max(self._max_abs, float(error.max(initial=0.0)))
            self._cosines.add(_rows(r), _rows(c))

    def figures(self) -> Figures:
        """The figures of what was taken so far."""
        mean, least = self._cosines.found()
        top1 = self._agreed / self._positions if self._positions else None
        snr = decibels(self._signal, self._noise)
        return Figures(snr, mean, least, top1, self._max_abs, self._decisions.found())

    def _agree(self, r: np.ndarray, c: np.ndarray) -> None:
        if not _positions(r):
            return
        same = r.argmax(axis=-1) == c.argmax(axis=-1)
        same &= ~np.isnan(c).any(axis=-1)
        self._agreed += int(same.sum())
        self._positions += int(same.size)


class _Cosines:
    """Cosines of rows; rows of a single number have only a sign, so they are taken together."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._count = 0
        self._least = math.inf
        self._pooled = np.zeros(3)

    def add(self, r: np.ndarray, c: np.ndarray) -> None:
        """Takes rows [rows, elements]."""
        if not r.size:
            return
        unit = np.maximum(
            np.abs(r).max(axis=1, keepdims=True), np.abs(c).max(axis=1, keepdims=True)
        )
        if r.shape[1] == 1:
            self._pooled += (np.vdot(r, c), np.vdot(r, r), np.vdot(c, c))
            return
        unit[unit == 0] = 1.0  # scaled first, so that squares neither overflow nor vanish
        r, c = r / unit, c / unit
        sums = np.stack([(r * c).sum(axis=1), (r * r).sum(axis=1), (c * c).sum(axis=1)])
        for product, mine, other in sums.T:
            cosine = _cosine(product, mine, other)
            self._sum += cosine
            self._count += 1
            self._least = min(self._least, cosine)

    def found(self) -> tuple[float, float]:
        """The mean and the least."""
        if self._count:
            return self._sum / self._count, self._least
        pooled = _cosine(*self._pooled)
        return pooled, pooled


def _cosine(product: float, mine: float, other: float) -> float:
    if product == mine == other:  # equal rows: exactly 1, as are two of only zeros
        return 1.0
    if mine > 0 and other > 0:
        value = float(product) / (math.sqrt(mine) * math.sqrt(other))
        return max(-1.0, min(1.0, value)) if math.isfinite(value) else 0.0
    return 0.0


def _rows(array: np.ndarray) -> np.ndarray:
    """One row for each item of a batch; arrays without a batch axis are one row."""
    if array.ndim < 2:
        return array.reshape(1, -1)
    return array.reshape(array.shape[0], math.prod(array.shape[1:]))


def _positions(array: np.ndarray) -> int:
    if array.ndim == 0 or array.shape[-1] < 2:
        return 0
    return int(array.size // array.shape[-1])


def decibels(signal: float, noise: float) -> float:
    """Signal over noise power in dB; infinite where there is no noise, minus infinite where there is no signal."""
    if not noise:
        return math.inf
    if not signal or not math.isfinite(noise):
        return -math.inf
    return 10 * (math.log10(signal) - math.log10(noise))
