"""``LayerNormalization`` out of its formula.

``(x - mean) / sqrt(mean((x - mean)^2) + eps)`` over the last axes. Only this core is fused here, with a
scale of ones; what multiplies or adds afterwards goes into scale and bias by rules of their own.
Source: https://onnx.ai/onnx/operators/onnx__LayerNormalization.html.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Match, Skip, one_of, op, rule

from ._norms import TYPES, epsilon, ones, quotients, reduced_extent

_CENTERED = op.Sub("x", op.ReduceMean("x", ..., bind="mean"))
_WIDE = one_of(_CENTERED, op.Cast(_CENTERED))
_SQUARE = one_of(op.Pow(_WIDE, 2.0), op.Mul(_WIDE, _WIDE))
_RADICAND = op.Add(op.ReduceMean(_SQUARE, ..., bind="variance"), Const("eps"))


@rule(*quotients(_CENTERED, _RADICAND))
def fuse_layer_norm(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse the formula of layer normalisation into ``LayerNormalization``.

    The operator works in single precision inside, so double precision stays as it is. Declines before
    opset 17, for axes that are not the last ones, for all axes after the channels of an image, and where
    their size is not known (the operator needs a scale of that size).

    Example: Div(Sub(x, ReduceMean(x)), Sqrt(Add(ReduceMean(Pow(Sub(x, ...), 2)), eps))) -> LayerNormalization(x, 1)
    """
    if m.opset() < 17:
        return Skip("LayerNormalization needs opset 17")
    x = m.value("x")
    dtype = m.dtype(x)
    if dtype not in TYPES:
        return Skip("LayerNormalization works in single precision")
    extent = reduced_extent(m, m.node("mean"), x)
    if reduced_extent(m, m.node("variance"), x) != extent:
        return Skip("mean and variance are over different axes")
    if m.rank(x) >= 4 and len(extent.shape) == m.rank(x) - 2:
        return Skip("it is an instance normalisation")
    scale = ones(build, extent, dtype)
    return build.op("LayerNormalization", x, scale, axis=extent.axis, epsilon=epsilon(m, x))
