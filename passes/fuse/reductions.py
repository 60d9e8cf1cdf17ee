"""Reductions out of an elementwise operator and a sum: norms, sums of squares, log-sum-exp."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, OneOf, Op, Skip, one_of, op, rule

from .._forms import raw_axes
from ._near import ACTIVATION_TYPES

_OTHERS_TAKE_AXES = 18


def _sum(of: Op | OneOf | str) -> Op:
    return op.ReduceSum(of, ..., bind="sum")


def _reduce(m: Match, build: Builder, op_type: str, node: ir.Node) -> ir.Value:
    """Builds a reduction over the axes of another, in the form of the opset in force."""
    axes = raw_axes(m, node)
    keepdims = int(m.attr(node, "keepdims", 1))
    if m.opset() < _OTHERS_TAKE_AXES:
        return build.op(op_type, m.value("x"), axes=axes, keepdims=keepdims)
    given = node.inputs[1] if len(node.inputs) > 1 else None
    return build.op(op_type, m.value("x"), given, keepdims=keepdims)


def _refuses(m: Match, node: ir.Node) -> str | None:
    """Why a reduction over the axes of ``node`` cannot take its place."""
    if m.dtype("x") not in ACTIVATION_TYPES:
        return "runtimes may lack the reduction for this type"
    given = len(node.inputs) > 1 and node.inputs[1] is not None
    if not (given or "axes" in node.attributes):
        return "the sum is over no axes" if m.attr(node, "noop_with_empty_axes", 0) else None
    return None if raw_axes(m, node) else "the sum is over no axes"


@rule(_sum(one_of(op.Mul("x", "x"), op.Pow("x", 2.0))))
def fuse_reduce_sum_square(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse a sum of squares into ``ReduceSumSquare``.

    Declines for a sum over no axes and for double precision and integers.

    Example: ReduceSum(Mul(x, x), [1]) -> ReduceSumSquare(x, [1])
    """
    reason = _refuses(m, m.root)
    return Skip(reason) if reason else _reduce(m, build, "ReduceSumSquare", m.root)


@rule(_sum(op.Abs("x")))
def fuse_reduce_l1(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse a sum of absolute values into ``ReduceL1``.

    Declines for a sum over no axes and for double precision and integers.

    Example: ReduceSum(Abs(x), [1]) -> ReduceL1(x, [1])
    """
    reason = _refuses(m, m.root)
    return Skip(reason) if reason else _reduce(m, build, "ReduceL1", m.root)


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


@rule(op.Log(_sum(op.Exp("x"))))
def fuse_reduce_log_sum_exp(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse the logarithm of a sum of exponentials into ``ReduceLogSumExp``.

    Where ``exp(x)`` overflows the formula gives infinity and the operator the true value. Declines for a
    sum over no axes and for double precision.

    Example: Log(ReduceSum(Exp(x), [1])) -> ReduceLogSumExp(x, [1])
    """
    reason = _refuses(m, m.node("sum"))
    return Skip(reason) if reason else _reduce(m, build, "ReduceLogSumExp", m.node("sum"))


@rule(op.Log(_sum("x")))
def fuse_reduce_log_sum(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse the logarithm of a sum into ``ReduceLogSum``.

    Declines for a sum over no axes and for double precision.

    Example: Log(ReduceSum(x, [1])) -> ReduceLogSum(x, [1])
    """
    reason = _refuses(m, m.node("sum"))
    return Skip(reason) if reason else _reduce(m, build, "ReduceLogSum", m.node("sum"))
