"""``LayerNormalization`` out of formulas that mix the scale into the deviation.

Keras writes ``x * k + (beta - mean * k)`` with ``k = gamma / sqrt(variance + eps)``; others multiply by ``gamma``
before dividing, or by ``k`` at once.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Match, Skip, one_of, op, rule

from ._norms import TYPES, epsilon, fitted, reduced_extent

_MEAN = op.ReduceMean("x", ..., bind="mean")
_CENTERED = op.Sub("x", _MEAN)
_SQUARE = one_of(op.Pow(_CENTERED, 2.0), op.Mul(_CENTERED, _CENTERED))
_ROOT = op.Sqrt(op.Add(op.ReduceMean(_SQUARE, ..., bind="variance"), Const("eps")))
_INVERSE = one_of(op.Reciprocal(_ROOT), op.Div(1.0, _ROOT))
_FACTOR = one_of(op.Mul(_INVERSE, Const("gamma")), op.Div(Const("gamma"), _ROOT))


@rule(
    op.Mul(_CENTERED, _FACTOR),
    op.Div(op.Mul(_CENTERED, Const("gamma")), _ROOT),
    op.Add(op.Mul("x", _FACTOR), op.Sub(Const("beta"), op.Mul(_MEAN, _FACTOR))),
)
def fuse_scaled_layer_norm(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse layer normalisation whose scale is mixed into the formula into ``LayerNormalization``.

    Declines before opset 17, for double precision, for axes that are not the last ones or of unknown size,
    and for scales and biases that vary beyond them.

    Example: Add(Mul(x, k), Sub(beta, Mul(mean, k))) with k = gamma / sqrt(var + eps) -> LayerNormalization(x, gamma, beta)
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
    inputs = [x]
    for name, hint in (("gamma", "scale"), ("beta", "bias")):
        if m.has(name):
            inputs.append(build.const(hint, fitted(m.const(name), extent, m.rank(x)), dtype))
    return build.op("LayerNormalization", *inputs, axis=extent.axis, epsilon=epsilon(m, x))
