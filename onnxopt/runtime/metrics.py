"""How far two arrays are apart, in the figures that say something about a network.

All figures are computed in float64 (complex128 for complex arrays) over the elements that are finite
in both; positions of NaN and of each infinity are counted apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


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
    special: int = 0
    outside: int = 0
    finite: int = 0


def measure(
    reference: np.ndarray, candidate: np.ndarray, *, rtol: float, atol: float, scale_tol: float
) -> Figures:
    """Compare two numeric arrays of equal shape.

    An element is inside the tolerance when ``|c - r| <= atol + rtol * |r| + scale_tol * max|r|``.

    Args:
        reference: r, any real or complex dtype.
        candidate: c, the same shape.
        rtol: tolerance relative to the element.
        atol: absolute tolerance.
        scale_tol: tolerance relative to the largest finite ``|r|``.

    Returns:
        The figures.
    """
    result = Figures()
    r, c = _wide(reference), _wide(candidate)
    if not r.size:
        return result
    usable = np.isfinite(r) & np.isfinite(c)
    if not usable.all():
        same = usable | (r == c) | (np.isnan(r) & np.isnan(c))
        result.special = int((~same).sum())
        r, c = r[usable], c[usable]
    result.finite = int(r.size)
    if not r.size:
        return result
    _figures(result, r, c, (rtol, atol, scale_tol))
    return result


def _wide(array: np.ndarray) -> np.ndarray:
    kind = np.complex128 if array.dtype.kind == "c" else np.float64
    return array.astype(kind).ravel()


def _figures(
    result: Figures, r: np.ndarray, c: np.ndarray, tolerance: tuple[float, float, float]
) -> None:
    rtol, atol, scale_tol = tolerance
    size = np.abs(r)
    result.scale = float(size.max())
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        error = np.abs(c - r)
        result.max_abs = float(error.max())
        nonzero = size > 0
        if nonzero.any():
            result.max_rel = float((error[nonzero] / size[nonzero]).max())
        result.outside = int((error > atol + rtol * size + scale_tol * result.scale).sum())
    # Scaled first, so that squares of huge or tiny numbers neither overflow nor vanish.
    unit = max(result.scale, float(np.abs(c).max())) or 1.0
    rn, cn, en = r / unit, c / unit, error / unit
    signal, noise = _power(rn), _power(en)
    result.rms = math.sqrt(noise / r.size) * unit
    if noise > 0:
        result.snr_db = 10 * math.log10(signal / noise) if signal > 0 else -math.inf
    other = _power(cn)
    if signal > 0 and other > 0:
        result.cosine = float(np.real(np.vdot(rn, cn)) / math.sqrt(signal * other))
    elif signal > 0 or other > 0:
        result.cosine = 0.0


def _power(values: np.ndarray) -> float:
    return float(np.real(np.vdot(values, values)))
