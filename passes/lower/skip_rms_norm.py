"""RMS normalisation of a sum with a residual, as one operator that gives the sum out too.

``SkipSimplifiedLayerNormalization(x, skip, gamma, bias) = RMSNormalization(x + bias + skip, gamma)``, out of that operator or,
before opset 23, out of the formula.

On onnxruntime's CPU the kernel takes up to two and a half times as long as ``Add`` and what becomes of the formula when
a model is loaded (0.11 against 0.05 ms for 128 rows of 768, version 1.32), so its target does not list it. That internal
``SimplifiedLayerNormalization`` poses as a standard operator, which it is not: no valid model can hold it.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Match, Op, Skip, Var, one_of, op, rule

from .._forms import normalize
from ..fuse._norms import epsilon, quotients, reduced_extent
from ._kernels import require_kernel
from ._skip import BIASED_SUM, PLAIN_SUM, build_skip_norm, require_vector, sum_of

_KERNEL = "SkipSimplifiedLayerNormalization"


def _norm(total: Op) -> Op:
    return op.RMSNormalization(total, Var("gamma"), bind="norm")


def _formulas(total: Op) -> tuple[Op, ...]:
    square = one_of(op.Pow(total, 2.0), op.Mul(total, total))
    radicand = op.Add(op.ReduceMean(square, ..., bind="mean"), Const("eps"))
    return tuple(op.Mul(q, Var("gamma")) for q in quotients(total, radicand))


@rule(_norm(BIASED_SUM), _norm(PLAIN_SUM))
def lower_skip_rms_norm(m: Match, build: Builder) -> ir.Value | Skip:
    """Join ``Add`` and ``RMSNormalization`` into ``SkipSimplifiedLayerNormalization``.

    Declines where the target lacks it, unless only the last axis is normalised, for sums of other than two or three
    axes, and where the summands are not proven to have the same last two.

    Example: RMSNormalization(Add(x, skip), gamma) -> com.microsoft.SkipSimplifiedLayerNormalization(x, skip, gamma)
    """
    total, node = sum_of(m), m.node("norm")
    require_kernel(m, _KERNEL, m.dtype(total))
    rank = m.rank(total)
    if normalize(int(m.attr(node, "axis", -1)), rank) != rank - 1:
        return Skip("not the last axis alone is normalised")
    require_vector(m, "gamma")
    eps = float(m.attr(node, "epsilon", 1e-5))
    return build_skip_norm(m, build, _KERNEL, m.value("gamma"), epsilon=eps)


@rule(*_formulas(BIASED_SUM), *_formulas(PLAIN_SUM))
def lower_skip_rms_formula(m: Match, build: Builder) -> ir.Value | Skip:
    """Join ``Add`` and the formula of RMS normalisation into ``SkipSimplifiedLayerNormalization``.

    Declines as the rule for the operator does.

    Example: Mul(Div(s, Sqrt(Add(ReduceMean(Pow(s, 2)), eps))), gamma) with s = Add(x, skip) -> com.microsoft.SkipSimplifiedLayerNormalization(x, skip, gamma)
    """
    total = sum_of(m)
    require_kernel(m, _KERNEL, m.dtype(total))
    if len(reduced_extent(m, m.node("mean"), total).shape) != 1:
        return Skip("not the last axis alone is normalised")
    require_vector(m, "gamma")
    return build_skip_norm(m, build, _KERNEL, m.value("gamma"), epsilon=epsilon(m, total))
