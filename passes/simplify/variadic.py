"""Sums and extrema of sums and extrema."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Skip, op, rule
from onnxopt.rewrite.uses import has_one_use


@rule(op("Max", "Min", "Sum")(...), exact=False)
def merge_variadic(m: Match, build: Builder) -> ir.Value | Skip:
    """Take the sum or extremum of all operands at once.

    Not exact for ``Sum``, whose order of additions changes, nor for extrema of NaN. Declines where no operand
    is of the same operator for this use alone.

    Example: Max(Max(a, b), c) -> Max(a, b, c)
    """
    operands: list[ir.Value | None] = []
    for value in m.root.inputs:
        inner = None if value is None else value.producer()
        if value is not None and inner is not None and _is_mergeable(m.root, inner, value):
            operands.extend(inner.inputs)
        else:
            operands.append(value)
    if len(operands) == len(m.root.inputs):
        return Skip("no operand is of the same operator for this use alone")
    return build.like(m.root, *operands)


def _is_mergeable(root: ir.Node, inner: ir.Node, value: ir.Value) -> bool:
    if (inner.domain, inner.op_type) != ("", root.op_type) or len(inner.inputs) < 2:
        return False
    return inner.graph is root.graph and has_one_use(value)
