"""Slices of slices."""

from __future__ import annotations

from dataclasses import replace

import onnx_ir as ir

from onnxopt.rewrite import Builder, Declined, Match, Var, op, rule

from .._forms import INT_MAX, SliceRange, build_slice, normalize, slice_ranges


@rule(op.Slice(op.Slice(Var("x"), ..., bind="inner", shared=True), ...), exact=True)
def merge_slices(m: Match, build: Builder) -> ir.Value:
    """Merge a slice of a slice into one.

    Ranges along different axes stand side by side. Along the same axis, with steps t and u, the
    elements s + t·(v + u·i) are one range of step t·u; this needs positive steps, and bounds that count
    from the front (those that count from the end are converted where the size is known). Declines otherwise.

    Example: Slice(Slice(x, [1], [9], [0]), [2], [5], [0]) -> Slice(x, [3], [6], [0])
    """
    x = m.value("x")
    merged = {r.axis: r for r in _normalized(m, m.node("inner"), x)}
    between = m.node("inner").outputs[0]
    for second in _normalized(m, m.root, between):
        first = merged.get(second.axis)
        merged[second.axis] = second if first is None else _joined(m, x, between, first, second)
    return build_slice(m, build, x, list(merged.values()))


def _normalized(m: Match, node: ir.Node, x: ir.Value) -> list[SliceRange]:
    """The ranges of a slice with axes that count from the front, where two slices agree on that."""
    ranges = slice_ranges(m, node)
    if any(r.axis < 0 for r in ranges):
        rank = m.rank(x)
        ranges = [replace(r, axis=normalize(r.axis, rank)) for r in ranges]
    return ranges


def _joined(
    m: Match, x: ir.Value, between: ir.Value, first: SliceRange, second: SliceRange
) -> SliceRange:
    """The range along one axis that the second takes of what the first leaves."""
    if first.step < 0 or second.step < 0:
        raise Declined("an axis is reversed")
    first, second = from_front(m, x, first), from_front(m, between, second)
    if min(first.start, second.start, second.end) < 0:
        raise Declined("bounds count from an end that is not known")
    if first.end < 0 and second.end < INT_MAX // 4:
        raise Declined("bounds count from an end that is not known")
    end = first.end
    if second.end < INT_MAX // max(4, 2 * first.step):
        end = min(first.end, first.start + first.step * second.end)
    start = first.start + first.step * second.start
    return SliceRange(first.axis, min(start, INT_MAX // 2), end, first.step * second.step)


def from_front(m: Match, x: ir.Value, r: SliceRange) -> SliceRange:
    """Converts bounds that count from the end where the size along the axis is known; else gives them back."""
    if r.step < 0:
        return r
    shape = m.facts.shape(x)
    size = None if shape is None else shape[r.axis]
    if not isinstance(size, int):
        return r
    start = min(max(r.start + size if r.start < 0 else r.start, 0), size)
    end = min(max(r.end + size if r.end < 0 else r.end, 0), size)
    return replace(r, start=start, end=end)
