"""Drops a bias of zeros."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Match, Skip, op, rule


@rule(op("Conv", "ConvTranspose", "Gemm")("x", "w", Const("b", equals=0), bind="node"))
def remove_zero_bias(m: Match, build: Builder) -> ir.Value | Skip:
    """Drop a bias of zeros from ``Conv``, ``ConvTranspose`` or ``Gemm``.

    Not exact: ``-0.0 + 0.0`` is ``0.0``. Declines for ``Gemm`` before opset 11, where it needs one.

    Example: Conv(x, w, 0) -> Conv(x, w)
    """
    node = m.node("node")
    if node.op_type == "Gemm" and m.opset() < 11:
        return Skip("Gemm needs a bias before opset 11")
    changes = {"beta": None} if node.op_type == "Gemm" else {}
    return build.like(node, m.value("x"), m.value("w"), **changes)
