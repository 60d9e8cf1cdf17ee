"""``MatMul`` of two matrices, with ``Add`` of what broadcasts to it, as one ``Gemm``."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Skip, Var, one_of, op, rule

from .._forms import broadcasts_into
from ._gemm import FLOATS

_PRODUCT = one_of(
    op.MatMul(Var("x"), Var("w"), bind="product"), op.Gemm(Var("x"), Var("w"), bind="product")
)


@rule(op.Add(_PRODUCT, Var("b")))
def fuse_matmul_add(m: Match, build: Builder) -> ir.Value | Skip:
    """Join ``MatMul`` (or ``Gemm`` without bias) of two matrices and ``Add`` into one ``Gemm``.

    Declines for other ranks, for what is not floating point, and unless the summand is proven to
    broadcast to the product.

    Example: Add(MatMul(x, w), b) -> Gemm(x, w, b)
    """
    if m.rank("x") != 2 or m.rank("w") != 2:
        return Skip("the product is not of two matrices")
    if m.dtype("x") not in FLOATS:
        return Skip("Gemm is for floating-point numbers")
    node = m.node("product")
    if not broadcasts_into(m, m.value("b"), node.outputs[0]):
        return Skip("the summand is not proven to broadcast to the product")
    inputs = (m.value("x"), m.value("w"), m.value("b"))
    if node.op_type == "Gemm":
        return build.like(node, *inputs, beta=None)
    return build.op("Gemm", *inputs)
