"""``ReduceL2`` out of a sum of squares and its root.

Other compositions (sums of absolute values, of squares, log-sum-exp) are left as they are on purpose:
onnxruntime's CPU kernels for the composed reductions are slower than those for the parts.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Skip, op, rule

from ._near import ACTIVATION_TYPES


@rule(op.Sqrt(op.ReduceSumSquare("x", ..., bind="sum")))
def fuse_reduce_l2(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse the root of a sum of squares into ``ReduceL2``.

    Declines for double precision and integers.

    Example: Sqrt(ReduceSumSquare(x, [1])) -> ReduceL2(x, [1])
    """
    if m.dtype("x") not in ACTIVATION_TYPES:
        return Skip("runtimes may lack the reduction for this type")
    node = m.node("sum")
    attributes = {name: m.attr(node, name) for name in node.attributes}
    return build.op("ReduceL2", *[m.value("x"), *node.inputs[1:]], **attributes)
