"""Slices that cut one value into pieces, as one ``Split``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

import onnx_ir as ir

from onnxopt.pipeline.base import Context, Pass
from onnxopt.rewrite import Declined, Match, Rewrite, where
from onnxopt.rewrite.matcher import Bindings

from .._forms import SliceRange, normalize, slice_ranges
from .slices import from_front


@dataclass(frozen=True)
class MergeParallelSlices(Pass):
    """Replaces slices that cut a value into pieces, without gap or overlap, by one ``Split``.

    Needs a known size along the axis, steps of 1 and constant bounds. Declines where a part of
    the value is left out. To run after fusion, whose patterns know the slices.

    Example: a = Slice(x, [0], [3]), b = Slice(x, [3], [9]) -> a, b = Split(x, [3, 6])
    """

    name: ClassVar[str] = "merge-parallel-slices"
    summary: ClassVar[str] = "Cut a value into pieces by one Split instead of many slices."

    def run(self, context: Context) -> int:
        """Looks at every graph once."""
        return sum(_merge(context, graph) for graph in list(context.editor.scopes.graphs()))


@dataclass(frozen=True)
class _Piece:
    node: ir.Node
    start: int
    end: int


def _merge(context: Context, graph: ir.Graph) -> int:
    """Merges the slices of a graph; returns how many splits were made."""
    groups: dict[tuple[ir.Value, int], list[_Piece]] = defaultdict(list)
    for node in graph:
        if (node.domain, node.op_type) == ("", "Slice") and node.inputs[0] is not None:
            found = _piece(context, node, node.inputs[0])
            if found is not None:
                axis, piece = found
                groups[node.inputs[0], axis].append(piece)
    made = 0
    for (x, axis), pieces in groups.items():
        # The first in the order of the graph is where the split goes: all of them are after `x`.
        if len(pieces) > 1:
            made += _replace(context, x, axis, pieces)
    return made


def _piece(context: Context, node: ir.Node, x: ir.Value) -> tuple[int, _Piece] | None:
    """The axis that a slice cuts and the range it takes, where both are known numbers."""
    shape = context.facts.shape(x)
    if shape is None or context.facts.const_tensor(x) is not None:
        return None
    try:
        ranges = slice_ranges(match := Match(node, Bindings(), context.facts), node)
        if len(ranges) != 1 or ranges[0].step != 1:
            return None
        axis = normalize(ranges[0].axis, len(shape))
        taken = from_front(match, x, SliceRange(axis, ranges[0].start, ranges[0].end, 1))
    except Declined:
        return None
    if not isinstance(shape[axis], int) or taken.start >= taken.end:
        return None
    return axis, _Piece(node, taken.start, taken.end)


def _replace(context: Context, x: ir.Value, axis: int, pieces: list[_Piece]) -> int:
    """Replaces pieces by a split, where they make up the whole."""
    place = where(pieces[0].node)
    ordered = sorted(pieces, key=lambda piece: piece.start)
    sizes = [piece.end - piece.start for piece in ordered]
    shape = context.facts.shape(x)
    bounds = [0, *accumulate(sizes)]
    if (
        [piece.start for piece in ordered] != bounds[:-1]
        or shape is None
        or bounds[-1] != shape[axis]
    ):
        reason = "the slices leave a gap or overlap"
        context.stats.decline(MergeParallelSlices.name, place, reason)
        return 0
    build = context.editor.builder(pieces[0].node)
    if (context.facts.opset(pieces[0].node) or 0) < 13:
        parts = build.ops("Split", x, outputs=len(sizes), axis=axis, split=sizes)
    else:
        given = build.ints("split", sizes)
        parts = build.ops("Split", x, given, outputs=len(sizes), axis=axis)
    rewrite = Rewrite(
        MergeParallelSlices.name,
        pieces[0].node,
        [(piece.node.outputs[0], part) for piece, part in zip(ordered, parts, strict=True)],
        _nodes(ordered),
        tuple(build.nodes),
        tuple(build.constants),
    )
    if context.editor.commit(rewrite) is None:
        build.discard()
        return 0
    return 1


def _nodes(pieces: Iterable[_Piece]) -> list[ir.Node]:
    return [piece.node for piece in pieces]
