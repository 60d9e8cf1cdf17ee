"""Layer normalisation of a sum with a residual, as one operator that gives the sum out too.

``SkipLayerNormalization(x, skip, gamma, beta, bias) = LayerNormalization(x + bias + skip, gamma, beta)``. Transformers add
what each layer computes to what went in, normalise, and go on with both.

On onnxruntime's CPU the kernel takes three to seven times as long as ``Add`` and ``LayerNormalization`` (0.49 against
0.07 ms for 128 rows of 768, version 1.32), so its target does not list it.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Op, Skip, Var, op, rule

from .._forms import normalize
from ._kernels import require_kernel
from ._skip import BIASED_SUM, PLAIN_SUM, build_skip_norm, require_vector, sum_of


def _norm(total: Op) -> Op:
    return op.LayerNormalization(total, Var("gamma"), Var("beta", optional=True), bind="norm")


@rule(_norm(BIASED_SUM), _norm(PLAIN_SUM))
def lower_skip_layer_norm(m: Match, build: Builder) -> ir.Value | Skip:
    """Join ``Add`` and ``LayerNormalization`` into ``SkipLayerNormalization``.

    Declines where the target lacks it, unless only the last axis is normalised, for sums of other than two or three
    axes, and where the summands are not proven to have the same last two.

    Example: LayerNormalization(Add(x, skip), gamma, beta) -> com.microsoft.SkipLayerNormalization(x, skip, gamma, beta)
    """
    total, node = sum_of(m), m.node("norm")
    require_kernel(m, "SkipLayerNormalization", m.dtype(total))
    rank = m.rank(total)
    if normalize(int(m.attr(node, "axis", -1)), rank) != rank - 1:
        return Skip("not the last axis alone is normalised")
    require_vector(m, "gamma", "beta")
    scales = (m.value("gamma"), m.maybe("beta"))
    epsilon = float(m.attr(node, "epsilon", 1e-5))
    return build_skip_norm(m, build, "SkipLayerNormalization", *scales, epsilon=epsilon)
