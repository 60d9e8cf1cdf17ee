"""What weights are to be stored as, read from a pass's options and checked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from onnxopt.errors import UsageError
from onnxopt.quantization.blocks import Scheme
from onnxopt.quantization.types import QType, qtype

TYPES = ("s4", "u4", "s8", "u8", "fp8")
FREE = ("rtn", "hqq", "mse")
CALIBRATED = ("gptq", "hmse")
_LEAST_BLOCK = 16
_FOR_BLOCKS, _FOR_HALF, _FOR_CHANNELS, _FOR_ALL = 21, 19, 13, 10


@dataclass(frozen=True)
class Request:
    """How weights are stored.

    Attributes:
        qtype: The type they are stored as.
        block: Rows that share a scale; None where all of a column do.
        whole: Whether all columns share a scale too.
        symmetric: Whether 0 is the middle of the type.
        method: How they are rounded.
    """

    qtype: QType
    block: int | None
    whole: bool
    symmetric: bool
    method: str

    def scheme(self, dtype: ir.DataType) -> Scheme:
        """The scheme of a weight of a type; scales have the weight's type, as DequantizeLinear's result has theirs."""
        return Scheme(self.qtype, self.block, self.symmetric, self.whole, np.dtype(dtype.numpy()))

    def opset(self, dtype: ir.DataType) -> int:
        """The opset from which DequantizeLinear takes this."""
        if self.block is not None or self.qtype.bits < 8:
            return _FOR_BLOCKS
        if dtype == ir.DataType.FLOAT16 or self.qtype.floating:
            return _FOR_HALF
        return _FOR_ALL if self.whole else _FOR_CHANNELS


def read(type_: str, block: str, method: str, symmetric: bool) -> Request:
    """Reads a pass's options.

    Raises:
        UsageError: One of them is none that there is, or they do not go together.
    """
    if type_ not in TYPES:
        raise UsageError(f"weights cannot be stored as {type_!r}; choose one of {', '.join(TYPES)}")
    if method not in (*FREE, *CALIBRATED):
        known = ", ".join((*FREE, *CALIBRATED))
        raise UsageError(f"no method {method!r} to quantise weights; there are: {known}")
    if type_ == "fp8" and (method == "hqq" or not symmetric):
        raise UsageError(
            "8-bit floats have no zero points: give symmetric=true, and a method other than hqq"
        )
    whole = block == "tensor"
    if whole and method != "rtn":
        raise UsageError(f"{method} needs scales by block or channel; give a block, or method=rtn")
    rows = None if block in ("tensor", "channel") else _rows(block)
    return Request(qtype(type_), rows, whole, symmetric, method)


def _rows(text: str) -> int:
    rows = int(text) if text.isdigit() else 0
    if rows < _LEAST_BLOCK or rows & (rows - 1):
        raise UsageError(
            f"block takes channel, tensor or a power of two from {_LEAST_BLOCK} up, which is what "
            f"kernels read, not {text!r}"
        )
    return rows
