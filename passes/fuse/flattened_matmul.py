"""``MatMul`` and ``Add`` between ``Reshape``s, as one ``Gemm`` between them.

What is reshaped before and after may as well be flattened to a matrix in between, where ``Gemm`` adds the bias.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.analysis.dims import product
from onnxopt.rewrite import Builder, Match, Skip, Var, op, rule

from .._forms import reshape_target
from ._gemm import FLOATS

_PRODUCT = op.MatMul(op.Reshape("x", Var("before"), bind="before"), Var("w"), bind="product")


@rule(op.Reshape(op.Add(_PRODUCT, Var("b")), Var("after"), bind="after"))
def flatten_matmul_add(m: Match, build: Builder) -> ir.Value | Skip:
    """Flatten to a matrix what is reshaped before and after a ``MatMul`` and ``Add``, and use ``Gemm``.

    Declines unless a stack of rows of known width meets one matrix and a bias of one number for each column, and
    unless the shape that comes out can be written without reference to the axes in between.

    Example: Reshape(Add(MatMul(Reshape(x, [2,3,4]), w), b), [6,2,4]) -> Reshape(Gemm(Reshape(x, [-1,4]), w, b), [6,2,4])
    """
    rows = m.shape(m.node("before").outputs[0])
    matrix = m.static_shape("w")
    if m.dtype("x") not in FLOATS:
        return Skip("Gemm is for floating-point numbers")
    if len(matrix) != 2 or len(rows) < 3 or rows[-1] != matrix[0] or 0 in matrix:
        return Skip("the product is not of a stack of rows of known width and a matrix")
    if m.facts.shape(m.value("b")) not in ((matrix[1],), (1,), ()):
        return Skip("the bias is not one number for each column")
    target = reshape_target((product(rows[:-1]), matrix[1]), m.shape(m.root.outputs[0]))
    if target is None:
        return Skip("the shape that comes out is not known")
    flat = build.op("Reshape", m.value("x"), build.ints("flat", [-1, matrix[0]]))
    result = build.op("Gemm", flat, m.value("w"), m.value("b"))
    return build.op("Reshape", result, build.ints("shape", target))
