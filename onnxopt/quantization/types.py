"""The types that values are quantised to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from ..errors import UsageError

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class QType:
    """A type of quantised values: integers, or 8-bit floats.

    Attributes:
        name: Its short name, such as ``u8``.
        dtype: The ONNX element type.
        low: The smallest value that is used.
        high: The largest.
    """

    name: str
    dtype: ir.DataType
    low: int
    high: int

    @property
    def floating(self) -> bool:
        """Whether values are floats: closer together around 0, which stands for itself."""
        return bool(self.dtype.is_floating_point())

    def rounded(self, steps: Array) -> Array:
        """Rounds to whole numbers, or to floats of the type; halves to even.

        Args:
            steps: Real values divided by their scale, float32 or float64; an array that may be overwritten.

        Returns:
            Of the same dtype and shape. Whole numbers may lie beyond the type's limits, until zero points are added.
        """
        if not self.floating:
            return np.rint(steps, out=steps)
        np.clip(steps, self.low, self.high, out=steps)
        return steps.astype(self.dtype.numpy()).astype(steps.dtype)

    @property
    def signed(self) -> bool:
        """Whether there are negative values."""
        return self.low < 0

    @property
    def bits(self) -> int:
        """Bits of a stored value."""
        return int(self.dtype.bitwidth)

    @property
    def levels(self) -> int:
        """How many values there are."""
        return 1 << self.bits if self.floating else self.high - self.low + 1

    def narrowed(self, bits: int) -> QType:
        """The same type, of which only so many bits are used; around 0 where it has signs.

        Kernels that add two products in 16 bits saturate with 8-bit weights (x86 without VNNI).
        """
        if self.signed:
            return QType(self.name, self.dtype, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)
        return QType(self.name, self.dtype, 0, (1 << bits) - 1)


QTYPES = {
    t.name: t
    for t in (
        QType("u8", ir.DataType.UINT8, 0, 255),
        QType("s8", ir.DataType.INT8, -128, 127),
        QType("u16", ir.DataType.UINT16, 0, 65535),
        QType("s16", ir.DataType.INT16, -32768, 32767),
        QType("u4", ir.DataType.UINT4, 0, 15),
        QType("s4", ir.DataType.INT4, -8, 7),
        QType("s32", ir.DataType.INT32, -(2**31), 2**31 - 1),
        QType("fp8", ir.DataType.FLOAT8E4M3FN, -448, 448),
    )
}
"""Types by their short name; ``fp8`` has 4 bits of exponent and 3 of mantissa (Micikevicius et al., 2022)."""


def qtype(name: str) -> QType:
    """Finds a type.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in QTYPES:
        raise UsageError(f"no type {name!r} to quantise to; there are: {', '.join(QTYPES)}")
    return QTYPES[name]
