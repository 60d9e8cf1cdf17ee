"""Folds ``Gemm``'s factors ``alpha`` and ``beta`` into constants."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from onnxopt.rewrite import Builder, Declined, Match, Skip, Var, op, rule

from ._channels import scaled_weight
from ._gemm import FLOATS


@rule(op.Gemm(Var("x"), Var("w"), Var("b", optional=True), bind="gemm"))
def fold_gemm_factors(m: Match, build: Builder) -> ir.Value | Skip:
    """Fold ``alpha`` into a constant weight and ``beta`` into a constant bias of ``Gemm``.

    Declines where a factor is one, or what it multiplies is no constant.

    Example: Gemm<alpha=0.5>(x, w) -> Gemm(x, w * 0.5)
    """
    if m.dtype("w") not in FLOATS:
        raise Declined("the weights are no floating-point numbers")
    node = m.node("gemm")
    weight, bias = m.value("w"), m.maybe("b")
    changes: dict[str, None] = {}
    alpha = float(m.attr(node, "alpha", 1.0))
    if alpha != 1.0 and m.facts.const_tensor(weight) is not None:
        weight = scaled_weight(m, build, weight, np.array([alpha]))
        changes["alpha"] = None
    beta = float(m.attr(node, "beta", 1.0))
    if beta != 1.0 and (bias is None or m.facts.const_tensor(bias) is not None):
        if bias is not None:
            bias = build.const("bias", m.const(bias).astype(np.float64) * beta, m.dtype(bias))
        changes["beta"] = None
    if not changes:
        return Skip("there is no factor before a constant")
    return build.like(node, m.value("x"), weight, bias, **changes)
