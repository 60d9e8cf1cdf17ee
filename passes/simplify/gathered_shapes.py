"""Dims asked of what a ``Gather`` gave, where they are those of its indices.

``shape(gather(x, ids, axis)) = shape(x)[:axis] + shape(ids) + shape(x)[axis + 1:]``. A batch or length that is read off the
embeddings of tokens then is read off the tokens, and the lookup need not run for its shape alone.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Declined, Match, op, rule

from .._forms import SliceRange, build_slice, normalize, slice_ranges

_LOOKUP = op.Gather("data", "ids", bind="lookup", shared=True)
_SHAPE = op.Shape(_LOOKUP, bind="shape", shared=True)


@rule(op.Shape(_LOOKUP, bind="shape"), exact=True)
def shape_of_gather(m: Match, build: Builder) -> ir.Value:
    """Ask the shape of the indices where all dims asked of a ``Gather`` are theirs.

    Declines where some are those of the data.

    Example: Shape<start=0, end=2>(Gather(table, ids)) -> Shape(ids)
    """
    asked = _asked(m)
    first = _among_ids(m, asked)
    if len(asked) == m.rank("ids"):
        return build.op("Shape", m.value("ids"))
    return build.op("Shape", m.value("ids"), start=first, end=first + len(asked))


@rule(op.Gather(_SHAPE, Const("picked"), bind="pick"), exact=True)
def dim_of_gather(m: Match, build: Builder) -> ir.Value:
    """Pick dims from the shape of the indices where all that are picked of a ``Gather``'s are theirs.

    Declines where some are those of the data.

    Example: Gather(Shape(Gather(table, ids)), 1) -> Gather(Shape(ids), 1)
    """
    asked, picked = _asked(m), m.const("picked")
    places = [asked[normalize(int(i), len(asked))] for i in picked.reshape(-1)]
    start = _start(m)
    _among_ids(m, places)
    moved = np.array([p - start for p in places], dtype=picked.dtype).reshape(picked.shape)
    shape = build.op("Shape", m.value("ids"))
    return build.like(m.node("pick"), shape, build.const("picked", moved))


@rule(op.Slice(_SHAPE, ..., bind="pick"), exact=True)
def dims_of_gather(m: Match, build: Builder) -> ir.Value:
    """Slice the shape of the indices where all dims that are taken of a ``Gather``'s are theirs.

    Declines where some are those of the data.

    Example: Slice(Shape(Gather(table, ids)), [0], [2]) -> Shape(ids)
    """
    found = slice_ranges(m, m.node("pick"))
    if len(found) != 1 or found[0].step != 1:
        raise Declined("the shape is taken in steps")
    asked = _asked(m)[found[0].start : found[0].end]
    first = _among_ids(m, asked)
    shape = build.op("Shape", m.value("ids"))
    if len(asked) == m.rank("ids"):
        return shape
    return build_slice(m, build, shape, [SliceRange(0, first, first + len(asked), 1)])


def _start(m: Match) -> int:
    """The place of the first dim of the indices in the shape of what was gathered."""
    return normalize(int(m.attr("lookup", "axis", 0)), m.rank("data"))


def _asked(m: Match) -> range:
    """The places of the dims that the ``Shape`` gives."""
    rank = m.rank("data") + m.rank("ids") - 1
    start, end = m.attr("shape", "start", 0), m.attr("shape", "end")
    return range(rank)[start:end]


def _among_ids(m: Match, places: range | list[int]) -> int:
    """The place of the first of some dims within the shape of the indices.

    Raises:
        Declined: Not all of them are dims of the indices.
    """
    start, count = _start(m), m.rank("ids")
    if not places or not all(start <= place < start + count for place in places):
        raise Declined("not all dims are those of the indices")
    return places[0] - start
