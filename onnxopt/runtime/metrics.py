"""How far two arrays are apart, in the figures that say something about a network.

All figures are computed in float64 (complex128 for complex arrays) over the elements that are finite
in both; positions of NaN and of each infinity are counted apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

_SLICE = 32


@dataclass(frozen=True)
class Tolerance:
    """``|c - r| <= atol + rtol * |r| + scale_tol * s``, s being `local_peak` of the reference."""

    rtol: float = 0.0
    atol: float = 0.0
    scale_tol: float = 0.0


@dataclass
class Figures:
    """Differences between a reference r and a candidate c of equal shape.

    Attributes:
        max_abs: largest ``|c - r|``.
        max_rel: largest ``|c - r| / |r|`` over elements where r is not zero.
        rms: root mean square of ``c - r``.
        snr_db: ``10 log10(sum r^2 / sum (c - r)^2)`` in dB; infinite when equal.
        cosine: cosine of the angle between r and c; 1 when both are zero.
        scale: largest ``|r|``.
        peak: largest finite ``|r|``, also where c is not finite.
        special: elements that are NaN or infinite in one and not (or not the same) in the other.
        outside: elements outside the tolerance (unequal ones for exact types).
        finite: how many elements are finite in both.
    """

    max_abs: float = 0.0
    max_rel: float = 0.0
    rms: float = 0.0
    snr_db: float = math.inf
    cosine: float = 1.0
    scale: float = 0.0
    peak: float = 0.0
    special: int = 0
    outside: int = 0
    finite: int = 0


def measure(
    reference: np.ndarray,
    candidate: np.ndarray,
    tolerance: Tolerance,
    allowance: np.ndarray | None = None,
) -> Figures:
    """Compare two numeric arrays of equal shape.

    Args:
        reference: r, any real or complex dtype.
        candidate: c, the same shape.
        tolerance: which elements count as outside.
        allowance: further absolute error allowed per element, broadcastable to r.

    Returns:
        The figures.
    """
    result = Figures()
    r, c = _wide(reference), _wide(candidate)
    if not r.size:
        return result
    size = np.abs(r)
    result.peak = float(size.max(initial=0.0, where=np.isfinite(size)))
    limit = _limit(size, tolerance)
    if allowance is not None:
        limit = np.maximum(limit, allowance)
    usable = np.isfinite(r) & np.isfinite(c)
    if usable.all():
        r, c, limit = r.ravel(), c.ravel(), limit.ravel()
    else:
        same = usable | (r == c) | (np.isnan(r) & np.isnan(c))
        result.special = int((~same).sum())
        r, c, limit = r[usable], c[usable], limit[usable]
    result.finite = int(r.size)
    if r.size:
        _fill(result, r, c, limit)
    return result


def local_peak(magnitude: np.ndarray) -> np.ndarray:
    """The scale each element of an array of magnitudes is to be judged by.

    One output often mixes quantities of different scale (box coordinates beside scores). So an element's
    scale is the largest magnitude in its slice, minimised over the axes; slices of fewer than
    32 elements say nothing and are left out.

    Args:
        magnitude: non-negative values; infinities and NaN are ignored.

    Returns:
        An array broadcastable to ``magnitude``.
    """
    finite = np.where(np.isfinite(magnitude), magnitude, 0.0)
    peak = np.asarray(finite.max(initial=0.0)).reshape((1,) * finite.ndim)
    for axis, size in enumerate(finite.shape):
        if size > 1 and finite.size // size >= _SLICE:
            others = tuple(other for other in range(finite.ndim) if other != axis)
            peak = np.minimum(peak, finite.max(axis=others, keepdims=True))
    return peak


def error_magnitude(reference: np.ndarray, other: np.ndarray) -> np.ndarray:
    """``|other - reference|`` in float64, 0 where either is not finite."""
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs(_wide(other) - _wide(reference))
    return np.where(np.isfinite(error), error, 0.0)


def _wide(array: np.ndarray) -> np.ndarray:
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def _limit(size: np.ndarray, tolerance: Tolerance) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        limit = tolerance.atol + tolerance.rtol * size
        if tolerance.scale_tol:
            limit = limit + tolerance.scale_tol * local_peak(size)
    return np.asarray(limit)


def _fill(result: Figures, r: np.ndarray, c: np.ndarray, limit: np.ndarray) -> None:
    size = np.abs(r)
    result.scale = float(size.max())
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        error = np.abs(c - r)
        result.max_abs = float(error.max())
        nonzero = size > 0
        if nonzero.any():
            result.max_rel = float((error[nonzero] / size[nonzero]).max())
        result.outside = int((error > limit).sum())
    # Scaled first, so that squares of huge or tiny numbers neither overflow nor vanish.
    unit = max(result.scale, float(np.abs(c).max())) or 1.0
    signal, noise, other = _power(r / unit), _power(error / unit), _power(c / unit)
    result.rms = math.sqrt(noise / r.size) * unit
    if noise > 0:
        result.snr_db = 10 * math.log10(signal / noise) if signal > 0 else -math.inf
    if signal > 0 and other > 0:
        product = float(np.real(np.vdot(r / unit, c / unit)))
        result.cosine = product / math.sqrt(signal * other)
    elif signal > 0 or other > 0:
        result.cosine = 0.0


def _power(values: np.ndarray) -> float:
    return float(np.real(np.vdot(values, values)))
