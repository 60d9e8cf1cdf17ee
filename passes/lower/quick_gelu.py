"""``x * sigmoid(alpha * x)`` as one operator: SiLU with ``alpha`` 1, the quick GELU of CLIP with 1.702.

From opset 24 on ``Swish`` is a standard operator, of which runtimes make the formula again.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Match, Skip, op, rule

from .._forms import broadcasts_into
from ._kernels import MICROSOFT, require_kernel


@rule(
    op.Mul("x", op.Sigmoid(op.Mul("x", Const("alpha")))),
    op.Mul("x", op.Sigmoid("x")),
    op.Swish("x", bind="swish"),
)
def lower_quick_gelu(m: Match, build: Builder) -> ir.Value | Skip:
    """Turn ``x * sigmoid(alpha * x)`` into ``QuickGelu``.

    Declines where the target lacks it, and unless ``alpha`` is one number that keeps the shape.

    Example: Mul(x, Sigmoid(x)) -> com.microsoft.QuickGelu<alpha=1>(x)
    """
    x = m.value("x")
    require_kernel(m, "QuickGelu", m.dtype(x))
    alpha: float | None = 1.0
    if m.has("swish"):
        alpha = float(m.attr("swish", "alpha", 1.0))
    elif m.has("alpha"):
        alpha = m.uniform("alpha")
        if not broadcasts_into(m, m.value("alpha"), x):
            return Skip("alpha widens the shape, or may")
    if alpha is None:
        return Skip("alpha is not one number")
    return build.op("QuickGelu", x, domain=MICROSOFT, alpha=alpha)
