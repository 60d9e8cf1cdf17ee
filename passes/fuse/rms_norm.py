"""``RMSNormalization`` out of its formula, ``x / sqrt(mean(x^2) + eps)`` over the last axes.

Source: https://onnx.ai/onnx/operators/onnx__RMSNormalization.html.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Match, Skip, Var, one_of, op, rule

from ._norms import TYPES, epsilon, ones, quotients, reduced_extent

_SQUARE = one_of(op.Pow("x", 2.0), op.Mul("x", "x"))
_RADICAND = op.Add(op.ReduceMean(_SQUARE, ..., bind="mean"), Const("eps"))


@rule(*quotients(Var("x"), _RADICAND))
def fuse_rms_norm(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse the formula of RMS normalisation into ``RMSNormalization``.

    The operator works in single precision inside, so double precision stays as it is. Declines before
    opset 23, for axes that are not the last ones, and where their size is not known.

    Example: Div(x, Sqrt(Add(ReduceMean(Pow(x, 2)), eps))) -> RMSNormalization(x, 1)
    """
    if m.opset() < 23:
        return Skip("RMSNormalization needs opset 23")
    x = m.value("x")
    dtype = m.dtype(x)
    if dtype not in TYPES:
        return Skip("RMSNormalization works in single precision")
    extent = reduced_extent(m, m.node("mean"), x)
    scale = ones(build, extent, dtype)
    return build.op("RMSNormalization", x, scale, axis=extent.axis, epsilon=epsilon(m, x))
