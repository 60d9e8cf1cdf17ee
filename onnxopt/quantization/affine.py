"""Scales and zero points, and rounding with them.

A real value r is stored as q = clip(round(r / scale) + zero_point), rounding half to even, as the operator
QuantizeLinear does; what is read back is (q - zero_point) * scale. 8-bit floats have the zero point 0, and round to the nearest float.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .types import QType

Array = np.ndarray[Any, Any]
_LEAST_SCALE = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Affine:
    """How values are stored, as integers mostly.

    Attributes:
        qtype: The type.
        scale: Steps between stored values: float32, a scalar array, or one for each channel [C].
        zero_point: What stands for 0: of the type's values, in the shape of ``scale``.
        axis: The axis of the channels; None where there is one scale for all.
    """

    qtype: QType
    scale: Array
    zero_point: Array
    axis: int | None = None

    def quantised(self, values: Array) -> Array:
        """Rounds to values of the type.

        Args:
            values: Real values, of any shape.

        Returns:
            int32 (int64 for types of 32 bits, float32 for floats), of the same shape, within the type's limits.
        """
        scale, zero = self._aligned(values.ndim)
        qtype = self.qtype
        steps = qtype.rounded(np.asarray(np.asarray(values, np.float64) / scale)) + zero
        whole = np.int64 if qtype.bits > 16 else np.int32
        kind = np.float32 if qtype.floating else whole
        stored: Array = np.clip(steps, qtype.low, qtype.high).astype(kind)
        return stored

    def restored(self, integers: Array) -> Array:
        """Reads stored values back: float32, of the same shape."""
        scale, zero = self._aligned(integers.ndim)
        return ((integers.astype(np.float64) - zero) * scale).astype(np.float32)

    def shifted(self, other: QType) -> Affine:
        """The same real values in another type of as many values: integers and zero point move alike.

        Args:
            other: The type, of as many values as this one has.
        """
        assert other.levels == self.qtype.levels
        by = other.low - self.qtype.low
        return Affine(other, self.scale, self.zero_point + by, self.axis)

    @property
    def bounds(self) -> tuple[Array, Array]:
        """The smallest and largest real values that can be stored, in the shape of ``scale``."""
        scale, zero = self.scale.astype(np.float64), self.zero_point.astype(np.float64)
        return (self.qtype.low - zero) * scale, (self.qtype.high - zero) * scale

    def _aligned(self, rank: int) -> tuple[Array, Array]:
        scale, zero = self.scale.astype(np.float64), self.zero_point.astype(np.float64)
        if self.axis is None:
            return scale, zero
        shape = [1] * rank
        shape[self.axis] = -1
        return scale.reshape(shape), zero.reshape(shape)


def from_range(
    low: Array | float,
    high: Array | float,
    qtype: QType,
    *,
    symmetric: bool,
    axis: int | None = None,
) -> Affine:
    """The scale and zero point that cover a range.

    The range is widened to hold 0, which must be stored exactly: paddings and rectifiers put it there.

    Args:
        low: The smallest value, or one for each channel [C].
        high: The largest, likewise.
        qtype: The type.
        symmetric: Whether 0 is stored as the middle: 0 of a signed type, half of an unsigned one. Of floats it always is.
        axis: The axis of the channels, where ``low`` and ``high`` have one entry each.
    """
    low = np.minimum(np.asarray(low, np.float64), 0.0)
    high = np.maximum(np.asarray(high, np.float64), 0.0)
    if symmetric or qtype.floating:
        # The negative end has a step more than the positive one; it is not used, so that -r and r round alike.
        middle = 0 if qtype.signed else (qtype.low + qtype.high + 1) // 2
        steps = min(qtype.high - middle, middle - qtype.low)
        scale = _usable(np.maximum(-low, high) / steps)
        return Affine(qtype, scale, np.full(scale.shape, middle, np.int64), axis)
    scale = _usable((high - low) / (qtype.high - qtype.low))
    zero = np.clip(np.rint(qtype.low - low / scale), qtype.low, qtype.high).astype(np.int64)
    return Affine(qtype, scale, zero, axis)


def _usable(scale: Array) -> Array:
    """Scales as float32; what is only zeros gets a scale of 1."""
    rounded = scale.astype(np.float32)
    return np.where(rounded > _LEAST_SCALE, rounded, np.float32(1.0)).astype(np.float32)
