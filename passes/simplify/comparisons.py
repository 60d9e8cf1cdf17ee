"""Negated comparisons."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Skip, op, rule

from .._kinds import INTEGERS

_OPPOSITE = {
    "Less": "GreaterOrEqual",
    "GreaterOrEqual": "Less",
    "Greater": "LessOrEqual",
    "LessOrEqual": "Greater",
}


@rule(op.Not(op(*_OPPOSITE)("a", "b", bind="compare")), exact=True)
def negate_comparison(m: Match, build: Builder) -> ir.Value | Skip:
    """Compare the other way instead of negating the outcome.

    For integers only: with NaN among floats neither of two opposite comparisons holds.

    Example: Not(Less(int64 a, int64 b)) -> GreaterOrEqual(a, b)
    """
    if m.dtype("a") not in INTEGERS:
        return Skip("the values may be NaN")
    return build.op(_OPPOSITE[m.node("compare").op_type], m.value("a"), m.value("b"))
