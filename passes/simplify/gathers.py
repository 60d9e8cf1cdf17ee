"""Gathers with constant indices: of everything, of gathers and slices, and with axes around them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Declined, Match, Skip, Var, op, rule

from .._forms import SliceRange, nonnegative_axes, normalize, slice_ranges
from .slices import from_front


@rule(op.Gather("x", Const("indices")), exact=True)
def remove_gather(m: Match, build: Builder) -> ir.Value | Skip:
    """Remove a gather of every element along an axis, in order.

    Declines where the size along the axis is not known.

    Example: Gather<axis=0>(float[3,4] x, [0,1,2]) -> x
    """
    shape = m.shape("x")
    size = shape[normalize(m.attr(m.root, "axis", 0), len(shape))]
    indices = m.const("indices")
    if not isinstance(size, int) or indices.shape != (size,):
        return Skip("it takes a part, or may")
    if not np.array_equal(np.where(indices < 0, indices + size, indices), np.arange(size)):
        return Skip("the order changes")
    return m.value("x")


@rule(
    op.Gather(op.Gather(Var("x"), Const("first"), bind="inner", shared=True), Const("second")),
    exact=True,
)
def merge_gathers(m: Match, build: Builder) -> ir.Value | Skip:
    """Gather once with the indices that two gathers along the same axis take together.

    Declines where the axes differ and where the first indices are no vector.

    Example: Gather(Gather(x, [3,1,4]), [2,0]) -> Gather(x, [4,3])
    """
    first, second = m.const("first"), m.const("second")
    if first.ndim != 1:
        return Skip("the first indices are no vector")
    if _axis(m, m.node("inner")) != _axis(m, m.root):
        return Skip("the axes differ")
    if second.size and not (-len(first) <= second.min() and second.max() < len(first)):
        return Skip("an index is out of range")
    return _gather(m, build, m.value("x"), first[second].astype(np.int64))


@rule(op.Gather(op.Slice(Var("x"), ..., bind="slice", shared=True), Const("indices")), exact=True)
def gather_of_slice(m: Match, build: Builder) -> ir.Value | Skip:
    """Gather from the whole instead of from a slice along the same axis.

    Declines for slices along other axes, and where bounds or indices count from an end that is not known.

    Example: Gather<axis=0>(Slice(x, [2], [9], [0]), [1]) -> Gather<axis=0>(x, [3])
    """
    ranges = slice_ranges(m, m.node("slice"))
    axis = normalize(_axis(m, m.root), m.rank("x"))
    if len(ranges) != 1 or normalize(ranges[0].axis, m.rank("x")) != axis:
        return Skip("the slice goes along another axis")
    taken = from_front(
        m, m.value("x"), SliceRange(axis, ranges[0].start, ranges[0].end, ranges[0].step)
    )
    size = m.shape(m.node("slice").outputs[0])[axis]
    indices = m.const("indices").astype(np.int64)
    if isinstance(size, int):
        indices = np.where(indices < 0, indices + size, indices)
    if taken.step < 0 or taken.start < 0 or (indices < 0).any():
        return Skip("bounds or indices count from an end that is not known")
    return _gather(m, build, m.value("x"), taken.start + taken.step * indices)


@rule(op.Slice(op.Gather(Var("x"), Const("indices"), bind="gather"), ...), exact=True)
def slice_of_gather(m: Match, build: Builder) -> ir.Value | Skip:
    """Gather only what a slice along the same axis leaves.

    Declines where the indices are no vector and for slices along other axes.

    Example: Slice(Gather<axis=0>(x, [5,1,2]), [1], [3], [0]) -> Gather<axis=0>(x, [1,2])
    """
    indices, axis = m.const("indices"), _axis(m, m.node("gather"))
    if indices.ndim != 1:
        return Skip("the indices are no vector")
    ranges = slice_ranges(m, m.root)
    if len(ranges) != 1 or _front(m, ranges[0].axis) != _front(m, axis):
        return Skip("the slice goes along another axis")
    r = ranges[0]
    end = None if r.end < -(2**62) else r.end
    left = indices[r.start : end : r.step].astype(np.int64)
    return build.like(m.node("gather"), m.value("x"), build.ints("indices", left.tolist()))


@rule(
    op.Unsqueeze(op.Gather(Var("x"), Const("index"), bind="gather"), ...),
    exact=True,
)
def unsqueeze_of_gather(m: Match, build: Builder) -> ir.Value | Skip:
    """Gather a vector of one index, where a single one is gathered and its axis put back.

    Declines where the index has a rank, or other axes are added.

    Example: Unsqueeze(Gather<axis=1>(x, 0), [1]) -> Gather<axis=1>(x, [0])
    """
    index = m.const("index")
    if index.ndim != 0:
        return Skip("the index is not a single one")
    axes, axis = nonnegative_axes(m, m.root), _axis(m, m.node("gather"))
    if axes != [axis if axis >= 0 else normalize(axis, m.rank("x"))]:
        return Skip("other axes are added")
    return build.like(m.node("gather"), m.value("x"), build.ints("indices", [int(index)]))


@rule(op.Squeeze(op.Gather(Var("x"), Const("index"), bind="gather"), ...), exact=True)
def squeeze_of_gather(m: Match, build: Builder) -> ir.Value | Skip:
    """Gather a single index, where a vector of one is gathered and its axis removed.

    Declines where several are gathered, or other axes are removed.

    Example: Squeeze(Gather<axis=1>(x, [0]), [1]) -> Gather<axis=1>(x, 0)
    """
    index = m.const("index")
    if index.shape != (1,):
        return Skip("several elements are gathered")
    axes, axis = nonnegative_axes(m, m.root), _axis(m, m.node("gather"))
    if axes != [axis if axis >= 0 else normalize(axis, m.rank("x"))]:
        return Skip("other axes are removed")
    return build.like(m.node("gather"), m.value("x"), build.ints("index", int(index[0])))


@rule(op.Squeeze(op.Slice(Var("x"), ..., bind="slice"), ...), exact=True)
def squeeze_of_slice(m: Match, build: Builder) -> ir.Value | Skip:
    """Gather a single index, where a slice of one element loses its axis.

    Declines where the slice takes more, or other axes are cut or removed; and before opset 11, whose ``Gather``
    does not count from the end, for an index that does.

    Example: Squeeze(Slice(x, [2], [3], [1]), [1]) -> Gather<axis=1>(x, 2)
    """
    ranges, axes = slice_ranges(m, m.node("slice")), nonnegative_axes(m, m.root)
    if len(ranges) != 1 or axes != [_front(m, ranges[0].axis)]:
        return Skip("other axes are cut or removed")
    r = ranges[0]
    last = r.start == -1 and r.end >= 2**31 - 1
    if r.step != 1 or not (r.end == r.start + 1 != 0 or last):
        return Skip("the slice takes more than one element, or may")
    if r.start < 0 and m.opset() < 11:
        return Skip("the index counts from the end")
    return build.op("Gather", m.value("x"), build.ints("index", r.start), axis=axes[0])


def _axis(m: Match, node: ir.Node) -> int:
    return int(m.attr(node, "axis", 0))


def _front(m: Match, axis: int) -> int:
    return axis if axis >= 0 else normalize(axis, m.rank("x"))


def _gather(m: Match, build: Builder, x: ir.Value, indices: np.ndarray) -> ir.Value:
    if m.opset() < 11 and (indices < 0).any():
        raise Declined("indices do not count from the end at this opset")
    return build.like(m.root, x, build.const("indices", indices))
