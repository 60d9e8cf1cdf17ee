"""Asking the target for an operator."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Declined, Match

MICROSOFT = "com.microsoft"


def require_kernel(m: Match, op_type: str, dtype: ir.DataType) -> None:
    """Declines unless the target has ``com.microsoft``'s operator for an element type.

    Raises:
        Declined: It has not.
    """
    if not m.target.has(op_type, dtype, MICROSOFT):
        raise Declined(f"target {m.target.name} has no {op_type} for {dtype}")


def require_float_weights(m: Match, value: ir.Value) -> None:
    """Declines where a product's operand is stored in integers: the runtime's kernels for these take plain products alone.

    Raises:
        Declined: It is.
    """
    maker = value.producer()
    if maker is not None and maker.op_type == "DequantizeLinear":
        raise Declined("an operand is stored in integers, which a plain product reads as they are")
