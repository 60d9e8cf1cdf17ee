"""``Gemm`` between two ``Reshape``s that only flatten the leading axes, as ``MatMul``.

``MatMul`` multiplies a stack of rows of any rank by a matrix, so nothing needs to be flattened.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Declined, Match, Skip, Var, op, rule

from ._channels import Array, dims, scaled, scaled_weight

_INNER = op.Reshape("x", Var("flat"), bind="flatten", shared=True)
_GEMM = op.Gemm(_INNER, Const("w"), Const("b", optional=True), bind="gemm")


def _keeps_rows(m: Match, columns: tuple[int, int]) -> bool:
    """Whether the two ``Reshape``s leave rows whole and give the leading axes back."""
    before, after = m.shape("x"), m.shape(m.root.outputs[0])
    if len(before) != len(after) or len(before) < 2:
        return False
    if before[-1] != columns[0] or after[-1] != columns[1]:
        return False
    return before[:-1] == after[:-1]


def _weight(m: Match, build: Builder) -> ir.Value:
    """Builds the weight with ``alpha`` and ``transB`` in it."""
    alpha = float(m.attr("gemm", "alpha", 1.0))
    factor = np.array([alpha])
    if not m.attr("gemm", "transB", 0):
        return scaled_weight(m, build, "w", None if alpha == 1.0 else factor)
    tensor = m.tensor("w")
    rows, columns = dims(tensor)

    def compute() -> Array:
        return (tensor.numpy() if alpha == 1.0 else scaled(tensor, factor)).T

    return build.lazy("weight", tensor.dtype, (columns, rows), compute)


def _bias(m: Match, columns: int) -> Array | None:
    if not m.has("b"):
        return None
    bias = m.const("b").astype(np.float64)
    if bias.shape not in ((columns,), (1, columns), (1,), (1, 1), ()):
        raise Declined("the bias is not one number for each column")
    value: Array = bias.reshape(-1) * float(m.attr("gemm", "beta", 1.0))
    return value


@rule(op.Reshape(_GEMM, Var("back"), bind="restore"))
def gemm_to_matmul(m: Match, build: Builder) -> ir.Value | Skip:
    """Multiply without flattening: ``Reshape``, ``Gemm``, ``Reshape`` as ``MatMul`` and ``Add``.

    Declines unless the leading axes are proven to come back as they were, for a transposed first
    factor, and for a bias that varies from row to row.

    Example: Reshape(Gemm(Reshape(x, [-1, 8]), w, b), [2, -1, 4]) -> Add(MatMul(x, w), b)
    """
    if m.attr("gemm", "transA", 0):
        return Skip("the first factor is transposed")
    shape = m.static_shape("w")
    inner, outer = shape[::-1] if m.attr("gemm", "transB", 0) else shape
    if not _keeps_rows(m, (inner, outer)):
        return Skip("the leading axes are not proven to come back")
    bias = _bias(m, outer)
    product = build.op("MatMul", m.value("x"), _weight(m, build))
    if bias is None:
        return product
    return build.op("Add", product, build.const("bias", bias, m.dtype("w")))
