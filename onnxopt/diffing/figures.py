"""How far two tensors of the same dims are apart, a piece at a time."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from .result import Figures

_PIECE = 1 << 18


def figures(a: ir.TensorProtocol, b: ir.TensorProtocol) -> Figures | None:
    """Compares two tensors element by element.

    Args:
        a: The reference.
        b: What it became.

    Returns:
        None where the dims differ or the elements are no real numbers.
    """
    if tuple(a.shape.numpy()) != tuple(b.shape.numpy()) or ir.DataType.STRING in (a.dtype, b.dtype):
        return None
    left, right = a.numpy().reshape(-1), b.numpy().reshape(-1)
    if np.iscomplexobj(left) or np.iscomplexobj(right):
        return None
    worst = greatest = signal = noise = 0.0
    differing = 0
    for start in range(0, left.size, _PIECE):
        x = left[start : start + _PIECE].astype(np.float64)
        y = right[start : start + _PIECE].astype(np.float64)
        with np.errstate(all="ignore"):
            apart = np.abs(x - y)
            same = (x == y) | (np.isnan(x) & np.isnan(y))
        apart[same] = 0.0
        apart[np.isnan(apart)] = math.inf
        differing += int(apart.size - same.sum())
        worst = max(worst, float(apart.max()))
        finite = np.where(np.isfinite(x), np.abs(x), 0.0)
        greatest = max(greatest, float(finite.max()))
        signal += float(np.dot(finite, finite))
        noise += float(np.dot(apart, apart))
    relative = worst / greatest if greatest > 0 else None
    return Figures(worst, relative, _decibels(signal, noise), differing)


def _decibels(signal: float, noise: float) -> float | None:
    if noise == 0 or signal == 0 or not math.isfinite(noise):
        return None
    return 10 * math.log10(signal / noise)
