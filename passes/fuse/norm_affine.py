"""What scales, shifts or casts the result of ``LayerNormalization`` or ``RMSNormalization``, inside it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Match, Skip, Var, op, rule

from ._norms import Extent, fitted, normalized_extent

_NORM = op("LayerNormalization", "RMSNormalization")(
    "x", Const("scale"), Const("bias", optional=True), bind="norm"
)
_HALVES = frozenset({ir.DataType.FLOAT16, ir.DataType.BFLOAT16})


def _covers(m: Match, value: ir.Value, extent: Extent) -> bool:
    """Whether a value that is no constant has just the shape that scale and bias must have."""
    return m.facts.shape(value) == extent.shape


@rule(op.Mul(_NORM, Var("factor")))
def fuse_norm_scale(m: Match, build: Builder) -> ir.Value | Skip:
    """Take a factor into the scale (and bias) of the normalisation before it.

    Declines for a factor that varies beyond the normalised axes. One that is no constant must have
    their very shape, and meet a scale of ones and no bias.

    Example: Mul(LayerNormalization(x, 1), gamma) -> LayerNormalization(x, gamma)
    """
    node, x, factor = m.node("norm"), m.value("x"), m.value("factor")
    extent = normalized_extent(m, node, x)
    if m.facts.const_tensor(factor) is None:
        if not _covers(m, factor, extent) or m.uniform("scale") != 1.0 or m.has("bias"):
            return Skip("the factor is not proven to be one for each normalised element")
        return build.like(node, x, factor, outputs=1)
    numbers = fitted(m.const(factor), extent, m.rank(x))
    dtype = m.dtype("scale")
    scale = build.const("scale", fitted(m.const("scale"), extent, m.rank(x)) * numbers, dtype)
    if not m.has("bias"):
        return build.like(node, x, scale, outputs=1)
    bias = build.const("bias", fitted(m.const("bias"), extent, m.rank(x)) * numbers, dtype)
    return build.like(node, x, scale, bias, outputs=1)


@rule(op.Add(_NORM, Var("summand")))
def fuse_norm_bias(m: Match, build: Builder) -> ir.Value | Skip:
    """Take a summand into the bias of the ``LayerNormalization`` before it.

    Declines for a summand that varies beyond the normalised axes, and for ``RMSNormalization``, which has
    no bias. One that is no constant must have the very shape of the normalised axes, and meet no bias.

    Example: Add(LayerNormalization(x, gamma), beta) -> LayerNormalization(x, gamma, beta)
    """
    node, x, summand = m.node("norm"), m.value("x"), m.value("summand")
    if node.op_type != "LayerNormalization":
        return Skip("RMSNormalization has no bias")
    extent = normalized_extent(m, node, x)
    if m.facts.const_tensor(summand) is None:
        if not _covers(m, summand, extent) or m.has("bias"):
            return Skip("the summand is not proven to be one for each normalised element")
        return build.like(node, x, m.value("scale"), summand, outputs=1)
    numbers = fitted(m.const(summand), extent, m.rank(x))
    if m.has("bias"):
        numbers = numbers + fitted(m.const("bias"), extent, m.rank(x))
    bias = build.const("bias", numbers, m.dtype("scale"))
    return build.like(node, x, m.value("scale"), bias, outputs=1)


@rule(
    op.Cast(
        op("LayerNormalization", "RMSNormalization")(
            op.Cast("x", shared=True), Const("scale"), Const("bias", optional=True), bind="norm"
        ),
        bind="back",
    )
)
def fuse_norm_casts(m: Match, build: Builder) -> ir.Value | Skip:
    """Drop the casts to single precision and back around a normalisation.

    It works in single precision inside anyway. Declines unless the data come from and return to one
    16-bit type.

    Example: Cast<to=FLOAT16>(LayerNormalization(Cast<to=FLOAT>(x), scale)) -> LayerNormalization(x, scale)
    """
    dtype = m.dtype("x")
    wide, back = m.dtype(m.node("norm").outputs[0]), ir.DataType(m.attr("back", "to"))
    if dtype not in _HALVES or back != dtype or wide != ir.DataType.FLOAT:
        return Skip("the casts are not from a 16-bit type to single precision and back")
    inputs = [m.value("x")]
    for name in ("scale", "bias"):
        if m.has(name):
            inputs.append(build.const(name, m.const(name).astype(np.float64), dtype))
    return build.like(m.node("norm"), *inputs, outputs=1)
