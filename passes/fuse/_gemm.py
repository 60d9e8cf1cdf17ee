"""``Gemm`` with an affine map of its columns folded in."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Declined, Match, Var, op

from ._channels import Affine, Array, scaled_weight

FLOATS = frozenset(
    {ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.BFLOAT16}
)
"""Types for which runtimes have ``Gemm``; the integer ones exist on paper."""

GEMM = op.Gemm(Var("x"), Var("w"), Const("b", optional=True), bind="gemm")


def gemm_channels(m: Match) -> int:
    """Returns the number of columns of the matched ``Gemm``, or declines."""
    shape = m.static_shape("w")
    if len(shape) != 2:
        raise Declined("the weight of Gemm is not a matrix")
    return shape[0] if m.attr("gemm", "transB", 0) else shape[1]


def gemm_with_affine(m: Match, build: Builder, affine: Affine) -> ir.Value:
    """Builds the matched ``Gemm`` with an affine map of its columns folded in."""
    if m.dtype("w") not in FLOATS:
        raise Declined("the weights are no floating-point numbers")
    node = m.node("gemm")
    factor = affine.scale
    if factor is not None:
        factor = factor.reshape(-1, 1) if m.attr(node, "transB", 0) else factor.reshape(1, -1)
    weight = scaled_weight(m, build, "w", factor)
    bias = affine.on(_given_bias(m))
    if bias is None:
        return build.like(node, m.value("x"), weight, beta=None)
    if bias.ndim == 0:
        bias = bias.reshape(1)
    return build.like(
        node, m.value("x"), weight, build.const("bias", bias, m.dtype("w")), beta=None
    )


def _given_bias(m: Match) -> Array | None:
    beta = float(m.attr("gemm", "beta", 1.0))
    if not m.has("b"):
        return None
    bias: Array = m.const("b").astype("float64")
    return bias * beta


def as_gemm(m: Match, build: Builder, affine: Affine) -> ir.Value:
    """Builds the matched ``MatMul`` of two matrices as a ``Gemm`` with an affine map of its columns."""
    if m.dtype("x") not in FLOATS:
        raise Declined("Gemm is for floating-point numbers")
    if affine.shift is None:
        raise Declined("there is no bias")
    factor = None if affine.scale is None else affine.scale.reshape(1, -1)
    weight = scaled_weight(m, build, "w", factor)
    return build.op("Gemm", m.value("x"), weight, build.const("bias", affine.shift, m.dtype("w")))
