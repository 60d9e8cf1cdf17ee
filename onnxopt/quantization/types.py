"""The types that values are quantised to."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from ..errors import UsageError


@dataclass(frozen=True)
class QType:
    """An integer type of quantised values.

    Attributes:
        name: Its short name, such as ``u8``.
        dtype: The ONNX element type.
        low: The smallest integer that is used.
        high: The largest.
    """

    name: str
    dtype: ir.DataType
    low: int
    high: int

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
        return self.high - self.low + 1

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
    )
}
"""Integer types by their short name."""


def qtype(name: str) -> QType:
    """Finds an integer type.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in QTYPES:
        raise UsageError(f"no type {name!r} to quantise to; there are: {', '.join(QTYPES)}")
    return QTYPES[name]
