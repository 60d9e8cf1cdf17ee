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
