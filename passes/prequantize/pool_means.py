"""Global pooling out of a mean over all places of an image.

Identity: the mean over every axis but the first two is what GlobalAveragePool computes. In float neither is faster, but only the
pooling has an integer kernel in onnxruntime.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Skip, op, rule

from .._forms import normalize_all, raw_axes


@rule(op.ReduceMean("x", ..., bind="mean"))
def pool_means(m: Match, build: Builder) -> ir.Value | Skip:
    """Replace a mean over all places by global pooling.

    Declines where an axis is left out or the mean runs over channels or samples, where the rank is below 3, and for integers.

    Example: ReduceMean<keepdims=1>(x [n,c,h,w], [2,3]) -> GlobalAveragePool(x)
    """
    node = m.node("mean")
    rank = m.rank("x")
    if rank < 3:
        return Skip("not known to be images")
    axes = raw_axes(m, node)
    if not axes:
        return Skip("the axes are not known, or all are meant")
    if sorted(normalize_all(axes, rank)) != list(range(2, rank)):
        return Skip("the mean is not over all places alone")
    if m.dtype("x") not in (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.DOUBLE):
        return Skip("pooling takes only floats")
    pooled = build.op("GlobalAveragePool", m.value("x"))
    if m.attr(node, "keepdims", 1):
        return pooled
    shape = build.ints("shape", [0, 0])
    return build.op("Reshape", pooled, shape)

