"""Concatenations of concatenations, and of the parts a value was cut into."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Skip, op, rule
from onnxopt.rewrite.uses import has_one_use

from .._forms import SliceRange, normalize, slice_ranges
from .slices import from_front


@rule(op.Concat(...), exact=True)
def merge_concats(m: Match, build: Builder) -> ir.Value | Skip:
    """Concatenate all parts at once instead of part by part.

    Declines where the inner concatenation goes along another axis or has other uses.

    Example: Concat<axis=1>(Concat<axis=1>(a, b), c) -> Concat<axis=1>(a, b, c)
    """
    parts: list[ir.Value | None] = []
    for value in m.root.inputs:
        inner = None if value is None else value.producer()
        if value is not None and inner is not None and _is_mergeable(m, inner, value):
            parts.extend(inner.inputs)
        else:
            parts.append(value)
    if len(parts) == len(m.root.inputs):
        return Skip("no operand is a concatenation along the same axis for this use alone")
    return build.like(m.root, *parts)


def _is_mergeable(m: Match, inner: ir.Node, value: ir.Value) -> bool:
    if (inner.domain, inner.op_type) != ("", "Concat") or not has_one_use(value):
        return False
    if inner.graph is not m.root.graph or len(inner.inputs) < 2:
        return False
    return _axis(m, inner, value) == _axis(m, m.root, value)


def _axis(m: Match, node: ir.Node, value: ir.Value) -> int:
    axis = int(m.attr(node, "axis"))
    rank = m.facts.rank(value)
    return axis if rank is None else normalize(axis, rank)


@rule(op.Concat(op.Split("x", ..., bind="split", shared=True), ...), exact=True)
def concat_of_split(m: Match, build: Builder) -> ir.Value | Skip:
    """Remove a concatenation that puts back together what was split.

    Declines where parts are missing, in another order, or where other values join them.

    Example: Concat<axis=1>(Split<axis=1>(x)) -> x
    """
    split = m.node("split")
    if list(m.root.inputs) != list(split.outputs):
        return Skip("the parts are not all there in order")
    rank = m.facts.rank(m.value("x"))
    cut, joined = int(m.attr(split, "axis", 0)), int(m.attr(m.root, "axis"))
    if cut != joined and (rank is None or normalize(cut, rank) != normalize(joined, rank)):
        return Skip("it was split along another axis")
    return m.value("x")


@rule(op.Concat(op.Slice("x", ..., shared=True), ...), exact=True)
def concat_of_slices(m: Match, build: Builder) -> ir.Value | Skip:
    """Remove a concatenation that puts back together what was sliced.

    The slices follow each other without gap or overlap and leave nothing out. Bounds must count from
    the front, or the size be known.

    Example: Concat<axis=0>(Slice(x, [0], [3]), Slice(x, [3], [2147483647])) -> x
    """
    x = m.value("x")
    axis = normalize(m.attr(m.root, "axis"), m.rank(x))
    reached = 0
    for value in m.root.inputs:
        part = _part(m, value, x, axis)
        if part is None or part.start != reached:
            return Skip("the parts are not slices that follow each other")
        reached = part.end
    if not _ends(m, x, axis, reached):
        return Skip("the parts may leave something out")
    return x


def _part(m: Match, value: ir.Value | None, x: ir.Value, axis: int) -> SliceRange | None:
    """What a value takes of ``x`` along ``axis``, in steps of 1; None where it is no such slice."""
    node = None if value is None else value.producer()
    if node is None or (node.domain, node.op_type) != ("", "Slice") or node.inputs[0] is not x:
        return None
    ranges = slice_ranges(m, node)
    if len(ranges) != 1 or normalize(ranges[0].axis, m.rank(x)) != axis or ranges[0].step != 1:
        return None
    part = from_front(m, x, SliceRange(axis, ranges[0].start, ranges[0].end, 1))
    return part if 0 <= part.start <= part.end else None


def _ends(m: Match, x: ir.Value, axis: int, reached: int) -> bool:
    size = m.shape(x)[axis]
    if isinstance(size, int):
        return reached == size
    # Parts in the middle could be cut short, the last one takes all that is left.
    return reached >= 2**31 - 1
