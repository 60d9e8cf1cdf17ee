"""``Softmax`` out of exponentials and their sum.

``exp(x - max(x)) / sum(exp(x - max(x)))``, where subtracting the maximum changes nothing but rounding and
overflow.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Declined, Match, Skip, Var, op, rule

from .._forms import normalize, raw_axes
from ._near import ACTIVATION_TYPES

_PLAIN = op.Exp(Var("x"), bind="exp")
_SHIFTED = op.Exp(op.Sub("x", op.ReduceMax("x", ..., bind="max")), bind="exp")


def _axis(m: Match, name: str) -> int:
    """Returns the one axis of a reduction that keeps it, from the front, or declines."""
    node = m.node(name)
    axes = raw_axes(m, node)
    if axes is None or len(axes) != 1 or not m.attr(node, "keepdims", 1):
        raise Declined("the sum or maximum is not over one axis, kept")
    return normalize(axes[0], m.rank("x"))


@rule(
    op.Div(_SHIFTED, op.ReduceSum(_SHIFTED, ..., bind="sum")),
    op.Div(_PLAIN, op.ReduceSum(_PLAIN, ..., bind="sum")),
)
def fuse_softmax(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse exponentials divided by their sum into ``Softmax``.

    Without the maximum subtracted, the formula overflows where the operator does not. Before opset 13 the
    operator means one axis only if that is the last. Declines for other axes there, where sum and
    maximum are over different axes, and for double precision.

    Example: Div(Exp(x), ReduceSum<axes=[-1], keepdims=1>(Exp(x))) -> Softmax<axis=-1>(x)
    """
    if m.dtype("x") not in ACTIVATION_TYPES:
        return Skip("runtimes may lack the operator for this type")
    axis = _axis(m, "sum")
    if any(n.op_type == "ReduceMax" for n in m.nodes()) and _axis(m, "max") != axis:
        return Skip("sum and maximum are over different axes")
    if m.opset() < 13 and axis != m.rank("x") - 1:
        return Skip("before opset 13 Softmax spans all axes from the one it names")
    return build.op("Softmax", m.value("x"), axis=axis)
