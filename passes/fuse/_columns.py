"""Which columns of a larger value a piece of its last axis holds, through ``Split``, ``Slice`` and pairs taken apart."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from onnxopt.rewrite import Match

from .._forms import nonnegative_axes, normalize, slice_ranges


@dataclass(frozen=True)
class Columns:
    """Columns ``first``, ``first + step``, … of a value's last axis.

    Attributes:
        source: The value. Where its last axis holds pairs, of rank 5, the last two axes count as one.
        first: The first column.
        step: The distance between columns.
        count: How many columns.
    """

    source: ir.Value
    first: int
    step: int
    count: int


def columns_of(m: Match, value: ir.Value) -> Columns | None:
    """Follows a value of rank 4 back to what its columns were taken of; None where the width is not known."""
    width = m.shape(value)[-1]
    if not isinstance(width, int):
        return None
    found = _member(m, value, width) or Columns(value, 0, 1, width)
    while (outer := _cut(m, found)) is not None:
        found = outer
    return found


def is_pair_axis(m: Match, value: ir.Value) -> bool:
    """Whether the last of five axes holds pairs."""
    shape = m.facts.shape(value)
    return shape is not None and len(shape) == 5 and shape[-1] == 2


def _producer(value: ir.Value, *op_types: str) -> ir.Node | None:
    node = value.producer()
    known = node is not None and node.domain == "" and node.op_type in op_types
    return node if known and node is not None and node.inputs[0] is not None else None


def _member(m: Match, value: ir.Value, width: int) -> Columns | None:
    """Reads the first or second of each pair: one place of an axis of size 2, which is then gone, or of size 1."""
    squeezed = _producer(value, "Squeeze")
    if squeezed is not None and nonnegative_axes(m, squeezed) == [4] and squeezed.inputs[0]:
        value = squeezed.inputs[0]
    node = _producer(value, "Split", "Gather", "Slice")
    pairs = None if node is None else node.inputs[0]
    if node is None or pairs is None or not is_pair_axis(m, pairs):
        return None
    place = _place(m, node, value)
    source = _paired(m, pairs)
    shape = m.shape(pairs)
    return None if place is None or shape[3] != width else Columns(source, place, 2, width)


def member_of(m: Match, value: ir.Value) -> Columns | None:
    """Reads the first or second of each pair where the axis of pairs is kept, of size 1."""
    added = _producer(value, "Unsqueeze")
    if added is not None and added.inputs[0] is not None:
        return columns_of(m, added.inputs[0]) if nonnegative_axes(m, added) == [4] else None
    shape = m.shape(value)
    if len(shape) != 5 or shape[4] != 1 or not isinstance(shape[3], int):
        return None
    found = _member(m, value, shape[3])
    while found is not None and (outer := _cut(m, found)) is not None:
        found = outer
    return found


def _place(m: Match, node: ir.Node, value: ir.Value) -> int | None:
    """Returns which of both places of the last of five axes a node takes."""
    if node.op_type == "Slice":
        ranges = slice_ranges(m, node)
        if len(ranges) != 1 or normalize(ranges[0].axis, 5) != 4 or ranges[0].step != 1:
            return None
        places = range(2)[ranges[0].start : ranges[0].end]
        return places[0] if len(places) == 1 else None
    if normalize(int(m.attr(node, "axis", 0)), 5) != 4:
        return None
    if node.op_type == "Split":
        return value.index() if len(node.outputs) == 2 else None
    index = node.inputs[1]
    content = None if index is None else m.ints(index)
    return content[0] % 2 if content is not None and len(content) == 1 else None


def _paired(m: Match, pairs: ir.Value) -> ir.Value:
    """Returns the value of rank 4 whose last axis was cut into pairs, the pairs themselves where there is none."""
    node = _producer(pairs, "Reshape")
    source = None if node is None else node.inputs[0]
    shape, whole = m.shape(pairs), m.facts.shape(source)
    if source is None or whole is None or len(whole) != 4 or not isinstance(shape[3], int):
        return pairs
    return source if whole == (*shape[:3], 2 * shape[3]) else pairs


def _cut(m: Match, inner: Columns) -> Columns | None:
    """Goes back through one ``Split`` or ``Slice`` along the last of four axes."""
    node = _producer(inner.source, "Split", "Slice")
    source = None if node is None else node.inputs[0]
    if node is None or source is None or m.rank(inner.source) != 4:
        return None
    first, step = _first_of_split(m, node, inner.source), 1
    if node.op_type == "Slice":
        ranges, width = slice_ranges(m, node), m.shape(source)[-1]
        if len(ranges) != 1 or normalize(ranges[0].axis, 4) != 3 or not isinstance(width, int):
            return None
        places = range(width)[ranges[0].start : ranges[0].end : ranges[0].step]
        first, step = places.start, places.step
    if first is None or step < 1:
        return None
    return Columns(source, first + inner.first * step, inner.step * step, inner.count)


def _first_of_split(m: Match, node: ir.Node, piece: ir.Value) -> int | None:
    if node.op_type != "Split" or normalize(int(m.attr(node, "axis", 0)), 4) != 3:
        return None
    sizes = [m.shape(v)[-1] for v in node.outputs[: piece.index() or 0]]
    known = [size for size in sizes if isinstance(size, int)]
    return sum(known) if len(known) == len(sizes) else None
