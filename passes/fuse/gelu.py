"""GELU out of its formula: exact by ``Erf``, approximate by ``Tanh``.

Source: https://onnx.ai/onnx/operators/onnx__Gelu.html.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Skip, rule

from .._gelu import ERF_GELU, NUMBERS, TANH_GELU
from ._near import require_formula


@rule(*ERF_GELU)
def fuse_gelu(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse ``x * (1 + erf(x / sqrt(2))) / 2`` into ``Gelu``.

    Declines before opset 20, for double precision, and where a constant is not the formula's or
    would change the shape.

    Example: Mul(Mul(x, 0.5), Add(Erf(Div(x, 1.4142135)), 1.0)) -> Gelu(x)
    """
    if m.opset() < 20:
        return Skip("Gelu needs opset 20")
    require_formula(m, "x", NUMBERS)
    return build.op("Gelu", m.value("x"))


@rule(*TANH_GELU)
def fuse_gelu_tanh(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse the formula of GELU's approximation by ``tanh`` into ``Gelu``.

    Declines before opset 20, for double precision, and where a constant is not the formula's or
    would change the shape.

    Example: x * 0.5 * (1 + Tanh(0.7978845 * (x + 0.044715 * x^3))) -> Gelu<approximate=tanh>(x)
    """
    if m.opset() < 20:
        return Skip("Gelu needs opset 20")
    require_formula(m, "x", NUMBERS)
    return build.op("Gelu", m.value("x"), approximate="tanh")
