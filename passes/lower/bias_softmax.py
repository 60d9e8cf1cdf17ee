"""``Softmax`` of a sum with a bias or mask, as ``BiasSoftmax``.

The operator takes everything from ``axis`` on as one row, and repeats the bias over the rows in one of two ways: the axes
in front that it lacks are the outermost ones (``is_inner_broadcast`` 0, ``[1, H, S, T]`` for ``[B, H, S, T]``), or those right
before the row (1, ``[B, 1, 1, T]``). From opset 13 on ``Softmax`` is over one axis, which must be the last then. Only
onnxruntime's GPU providers have a kernel.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from onnxopt.analysis.dims import Dim
from onnxopt.rewrite import Builder, Match, Skip, op, rule

from .._forms import normalize
from ._kernels import MICROSOFT, require_kernel


def _inner_broadcast(bias: Sequence[Dim], total: Sequence[Dim], axis: int) -> int | None:
    """Tells how a bias is repeated over the axes before ``axis``; None where neither way fits."""
    width = len(total) - axis
    if len(bias) < width or len(bias) > len(total) or tuple(bias[-width:]) != tuple(total[axis:]):
        return None
    lead = [1] * (len(total) - len(bias)) + list(bias[: len(bias) - width])
    front = list(total[:axis])
    same = [p == q for p, q in zip(lead, front, strict=True)]
    lacks = [p == 1 for p in lead]
    for cut in range(axis + 1):
        if all(lacks[:cut]) and all(same[cut:]):
            return 0
    for cut in range(axis + 1):
        if all(same[:cut]) and all(lacks[cut:]):
            return 1
    return None


@rule(op.Softmax(op.Add("a", "b", bind="sum"), bind="softmax"))
def lower_bias_softmax(m: Match, build: Builder) -> ir.Value | Skip:
    """Join ``Add`` and ``Softmax`` into ``BiasSoftmax``.

    Declines where the target lacks it, for axes other than the last from opset 13 on, and for summands that are
    repeated over other axes than the operator can.

    Example: Softmax(Add(scores, mask)) -> com.microsoft.BiasSoftmax<axis=3, is_inner_broadcast=1>(scores, mask)
    """
    total = m.node("sum").outputs[0]
    require_kernel(m, "BiasSoftmax", m.dtype(total))
    shape = m.shape(total)
    old = m.opset(m.node("softmax")) < 13
    axis = normalize(int(m.attr("softmax", "axis", 1 if old else -1)), len(shape))
    if not old and axis != len(shape) - 1:
        return Skip("the softmax is not over the last axis")
    a, b = m.value("a"), m.value("b")
    for data, bias in ((a, b), (b, a)):
        dims = m.facts.shape(bias)
        if m.facts.shape(data) != shape or dims is None:
            continue
        inner = _inner_broadcast(dims, shape, axis)
        if inner is not None:
            given = {"axis": axis, "is_inner_broadcast": inner}
            return build.op("BiasSoftmax", data, bias, domain=MICROSOFT, **given)
    return Skip("no summand is repeated over the innermost or outermost rows alone")
