"""Operators that pick and place elements by index: Gather and Scatter in all forms, TopK, OneHot, NonZero."""

from __future__ import annotations

from onnxopt.analysis.context import (
    Content,
    Context,
    Unknown,
    infers,
    normalize_axis,
    unknown_shape,
)
from onnxopt.analysis.dims import Dim, fresh
from onnxopt.analysis.ops.common import INT64, same_as_input


@infers("Gather")
def infer_gather(context: Context) -> None:
    """The data with one axis replaced by the dimensions of the indices."""
    context.output(0, context.dtype(0))
    data, indices = context.known_shape(0), context.known_shape(1)
    axis = normalize_axis(context.integer("axis", 0), len(data))
    context.out.shape = data[:axis] + indices + data[axis + 1 :]
    if len(data) == 1 and len(indices) <= 1:
        context.out.content = _pick(context.content(0), context.content(1))


def _pick(data: Content | None, indices: Content | None) -> Content | None:
    """Elements of a list by indices that are all known."""
    if not isinstance(data, tuple) or indices is None:
        return None
    wanted = indices if isinstance(indices, tuple) else (indices,)
    picked: list[Dim] = []
    for index in wanted:
        if not isinstance(index, int) or not -len(data) <= index < len(data):
            return None
        picked.append(data[index])
    return tuple(picked) if isinstance(indices, tuple) else picked[0]


@infers("GatherElements")
def infer_gather_elements(context: Context) -> None:
    """An element for each index."""
    context.output(0, context.dtype(0), context.shape(1))
    if context.out.shape is not None and len(context.out.shape) == 1:
        context.out.content = _pick(context.content(0), context.content(1))


@infers("GatherND")
def infer_gather_nd(context: Context) -> None:
    """Slices of the data, one for each index tuple."""
    context.output(0, context.dtype(0))
    data, indices = context.known_shape(0), context.known_shape(1)
    batch = context.integer("batch_dims", 0)
    depth = indices[-1]
    if not isinstance(depth, int) or batch + depth > len(data):
        raise Unknown
    context.out.shape = indices[:-1] + data[batch + depth :]


@infers("Scatter", "ScatterElements", "ScatterND", "TensorScatter")
def infer_scatter(context: Context) -> None:
    """The data with some elements replaced."""
    same_as_input(context)


@infers("Compress")
def infer_compress(context: Context) -> None:
    """The slices a condition selects, of the flattened data without an axis."""
    context.output(0, context.dtype(0))
    if context.attribute("axis") is None:
        context.out.shape = unknown_shape(1)
        return
    shape = context.known_shape(0)
    axis = normalize_axis(context.integer("axis", 0), len(shape))
    context.out.shape = (*shape[:axis], fresh(), *shape[axis + 1 :])


@infers("NonZero")
def infer_nonzero(context: Context) -> None:
    """The indices of the elements that are not zero, a row for each dimension."""
    rank = context.facts.rank(context.value(0))
    # A scalar counts as a tensor of one dimension in some runtimes and as none in others.
    rows: Dim = rank or fresh()
    context.output(0, INT64, (rows, fresh()))


@infers("TopK")
def infer_topk(context: Context) -> None:
    """The ``k`` greatest along an axis, and where they lie."""
    context.output(0, context.dtype(0))
    context.output(1, INT64)
    shape = context.known_shape(0)
    axis = normalize_axis(context.integer("axis", -1), len(shape))
    result = (*shape[:axis], _topk_count(context), *shape[axis + 1 :])
    for fact in context.outs:
        fact.shape = result


def _topk_count(context: Context) -> Dim:
    if context.version < 10:
        return context.integer("k", -1) if context.attribute("k") is not None else fresh()
    content = context.facts.elements(context.value(1))
    if isinstance(content, tuple):
        return content[0] if len(content) == 1 else fresh()
    return fresh() if content is None else content


@infers("OneHot")
def infer_one_hot(context: Context) -> None:
    """The indices with a new axis of the given depth."""
    context.output(0, context.dtype(2))
    indices = context.known_shape(0)
    axis = normalize_axis(context.integer("axis", -1), len(indices) + 1)
    content = context.facts.elements(context.value(1))
    depth = content[0] if isinstance(content, tuple) and len(content) == 1 else content
    size = fresh() if depth is None or isinstance(depth, tuple) else depth
    context.out.shape = (*indices[:axis], size, *indices[axis:])
