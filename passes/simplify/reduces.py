"""Reductions: over nothing, over axes of size 1, of reductions, and with axes kept or dropped after."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Declined, Match, Skip, op, rule

from .._forms import (
    build_squeeze,
    input_of,
    nonnegative_axes,
    normalize_all,
    raw_axes,
)

_PLAIN = ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd")
_ALL = (*_PLAIN, "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare")


@rule(op(*_PLAIN)("x", ...), exact=False)
def remove_reduce(m: Match, build: Builder) -> ir.Value | Skip:
    """Remove a sum, mean, extremum or product over axes of size 1, or over none.

    Not exact: a sum that starts at 0.0 turns -0.0 into 0.0. Norms and sums of squares are not the identity on one
    element and stay. Declines where an axis is larger, or may be.

    Example: ReduceMean<keepdims=1>(float[2,1,3] x, [1]) -> x
    """
    axes = _axes(m, m.root)
    if not axes:
        return m.value("x")
    shape = m.shape("x")
    axes = normalize_all(axes, len(shape))
    if any(shape[axis] != 1 for axis in axes):
        return Skip("it reduces several elements, or may")
    if m.attr(m.root, "keepdims", 1):
        return m.value("x")
    return build_squeeze(m, build, m.value("x"), axes)


def _axes(m: Match, node: ir.Node) -> list[int]:
    """The axes a reduction goes over; all where none are given and that means all."""
    given = input_of(node, 1)
    axes = raw_axes(m, node)
    if axes:
        return axes
    if m.attr(node, "noop_with_empty_axes", 0) and node.op_type in _PLAIN:
        return []
    if m.attr(node, "noop_with_empty_axes", 0):
        raise Declined("it has no axes")
    data = node.inputs[0]
    if (given is not None and axes is None) or data is None:
        raise Declined("the axes are not known")
    return list(range(m.rank(data)))


@rule(op.Unsqueeze(op(*_ALL)("x", ..., bind="reduce"), ...), exact=True)
def unsqueeze_of_reduce(m: Match, build: Builder) -> ir.Value | Skip:
    """Let a reduction keep the axes that are put back after it.

    Declines where it keeps them already, or others are added.

    Example: Unsqueeze(ReduceSum<keepdims=0>(x, [1]), [1]) -> ReduceSum<keepdims=1>(x, [1])
    """
    reduce = m.node("reduce")
    if m.attr(reduce, "keepdims", 1):
        return Skip("the reduction keeps its axes")
    if nonnegative_axes(m, m.root) != sorted(normalize_all(_axes(m, reduce), m.rank("x"))):
        return Skip("other axes are added")
    return build.like(reduce, *reduce.inputs, keepdims=1)


@rule(op.Squeeze(op(*_ALL)("x", ..., bind="reduce"), ...), exact=True)
def squeeze_of_reduce(m: Match, build: Builder) -> ir.Value | Skip:
    """Let a reduction drop the axes that are removed after it.

    Declines where it drops them already, or others are removed.

    Example: Squeeze(ReduceSum<keepdims=1>(x, [1]), [1]) -> ReduceSum<keepdims=0>(x, [1])
    """
    reduce = m.node("reduce")
    if not m.attr(reduce, "keepdims", 1):
        return Skip("the reduction drops its axes")
    if nonnegative_axes(m, m.root) != sorted(normalize_all(_axes(m, reduce), m.rank("x"))):
        return Skip("other axes are removed")
    return build.like(reduce, *reduce.inputs, keepdims=0)


@rule(
    op("Squeeze", "Unsqueeze")(op("ArgMax", "ArgMin")("x", bind="arg"), ...),
    exact=True,
)
def keep_axis_of_argmax(m: Match, build: Builder) -> ir.Value | Skip:
    """Let ``ArgMax`` or ``ArgMin`` keep or drop its axis, as what follows asks.

    Declines where another axis is added or removed.

    Example: Squeeze(ArgMax<axis=1,keepdims=1>(x), [1]) -> ArgMax<axis=1,keepdims=0>(x)
    """
    arg, adds = m.node("arg"), m.root.op_type == "Unsqueeze"
    if bool(m.attr(arg, "keepdims", 1)) == adds:
        return Skip("the axis is kept, or dropped, already")
    if nonnegative_axes(m, m.root) != normalize_all([m.attr(arg, "axis", 0)], m.rank("x")):
        return Skip("another axis is added or removed")
    return build.like(arg, m.value("x"), keepdims=int(adds))


_CHAINING = ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1")


@rule(op(*_CHAINING)(op(*_CHAINING)("x", ..., bind="inner"), ...), exact=False)
def merge_reduces(m: Match, build: Builder) -> ir.Value | Skip:
    """Reduce over all axes at once instead of one after the other.

    Holds for sums, means, extrema, products and sums of absolute values. Declines where the two
    differ in kind or in whether they keep their axes.

    Example: ReduceSum<keepdims=1>(ReduceSum<keepdims=1>(x, [2]), [3]) -> ReduceSum<keepdims=1>(x, [2,3])
    """
    inner, keep = m.node("inner"), m.attr(m.root, "keepdims", 1)
    if inner.op_type != m.root.op_type or m.attr(inner, "keepdims", 1) != keep:
        return Skip("the reductions differ")
    if m.root.op_type == "ReduceMean" and not m.dtype("x").is_floating_point():
        return Skip("means of integers round")
    rank = m.rank("x")
    first = normalize_all(_axes(m, inner), rank)
    left = list(range(rank)) if keep else [a for a in range(rank) if a not in first]
    second = [left[a] for a in normalize_all(_axes(m, m.root), len(left))]
    axes = sorted({*first, *second})
    if not axes:
        return Skip("neither reduces anything")
    if "axes" in m.root.attributes or "axes" in inner.attributes or _by_attribute(m):
        return build.like(m.root, m.value("x"), axes=axes)
    return build.like(m.root, m.value("x"), build.ints("axes", axes))


def _by_attribute(m: Match) -> bool:
    return m.opset() < (13 if m.root.op_type == "ReduceSum" else 18)
