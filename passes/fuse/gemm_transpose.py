"""Takes the transposition of a matrix into ``Gemm``'s ``transA`` and ``transB``."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Skip, Var, op, rule

from ._gemm import FLOATS

_TRANSPOSED = op.Transpose("t", bind="transpose", shared=True)


def _swaps(m: Match) -> bool:
    return m.attr("transpose", "perm") in (None, [1, 0])


@rule(
    op.Gemm(_TRANSPOSED, Var("other"), Var("b", optional=True), bind="gemm"),
    op.Gemm(Var("other"), _TRANSPOSED, Var("b", optional=True), bind="gemm"),
    exact=False,
)
def fuse_transpose_gemm(m: Match, build: Builder) -> ir.Value | Skip:
    """Take a ``Transpose`` of a matrix into ``Gemm``'s ``transA`` or ``transB``.

    Declines for a permutation that leaves the axes in place.

    Example: Gemm(Transpose(x), w) -> Gemm<transA=1>(x, w)
    """
    if not _swaps(m):
        return Skip("the permutation does not swap the axes")
    node = m.node("gemm")
    first = node.inputs[0] is m.node("transpose").outputs[0]
    name = "transA" if first else "transB"
    flag = 1 - int(m.attr(node, name, 0))
    pair = (m.value("t"), m.value("other")) if first else (m.value("other"), m.value("t"))
    return build.like(node, *pair, m.maybe("b"), **{name: flag})


@rule(
    op.MatMul(_TRANSPOSED, Var("other"), bind="matmul"),
    op.MatMul(Var("other"), _TRANSPOSED, bind="matmul"),
    exact=False,
)
def fuse_transpose_matmul(m: Match, build: Builder) -> ir.Value | Skip:
    """Join the ``Transpose`` of a matrix and the ``MatMul`` of two matrices into ``Gemm``.

    Declines before opset 11 (``Gemm`` needs a bias there), for other ranks, and for integers.

    Example: MatMul(x, Transpose(w)) -> Gemm<transB=1>(x, w)
    """
    if m.opset() < 11:
        return Skip("Gemm needs a bias before opset 11")
    if m.rank("t") != 2 or m.rank("other") != 2 or not _swaps(m):
        return Skip("the product is not of two matrices, one of them transposed")
    if m.dtype("t") not in FLOATS:
        return Skip("Gemm is for floating-point numbers")
    if m.node("matmul").inputs[0] is m.node("transpose").outputs[0]:
        return build.op("Gemm", m.value("t"), m.value("other"), transA=1)
    return build.op("Gemm", m.value("other"), m.value("t"), transB=1)
