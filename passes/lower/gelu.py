"""GELU's formula, at opsets that have no ``Gelu``, as an operator of the target's.

``com.microsoft.Gelu`` is the exact function by ``Erf``, ``FastGelu`` the approximation by ``Tanh``. From opset 20 on the
standard ``Gelu`` says both, is as fast, and is what is fused before.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, rule

from .._gelu import ERF_GELU, NUMBERS, TANH_GELU
from ..fuse._near import require_formula
from ._kernels import MICROSOFT, require_kernel


@rule(*ERF_GELU)
def lower_gelu(m: Match, build: Builder) -> ir.Value:
    """Turn ``x * (1 + erf(x / sqrt(2))) / 2`` into the target's ``Gelu``.

    Declines where the target lacks it, and where a constant is not the formula's or would change the shape.

    Example: Mul(Mul(x, 0.5), Add(Erf(Div(x, 1.4142135)), 1.0)) -> com.microsoft.Gelu(x)
    """
    require_kernel(m, "Gelu", m.dtype("x"))
    require_formula(m, "x", NUMBERS)
    return build.op("Gelu", m.value("x"), domain=MICROSOFT)


@rule(*TANH_GELU)
def lower_fast_gelu(m: Match, build: Builder) -> ir.Value:
    """Turn the formula of GELU's approximation by ``tanh`` into the target's ``FastGelu``.

    Declines where the target lacks it, and where a constant is not the formula's or would change the shape.

    Example: x * 0.5 * (1 + Tanh(0.7978845 * (x + 0.044715 * x^3))) -> com.microsoft.FastGelu(x)
    """
    require_kernel(m, "FastGelu", m.dtype("x"))
    require_formula(m, "x", NUMBERS)
    return build.op("FastGelu", m.value("x"), domain=MICROSOFT)
