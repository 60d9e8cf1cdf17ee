"""Operators that cut and join along axes: Slice, Split, Concat, Tile, Expand, Pad."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from onnxopt.analysis.context import (
    MAX_CONTENT,
    Context,
    Shape,
    Unknown,
    infers,
    normalize_axis,
    unknown_elements,
    unknown_shape,
)
from onnxopt.analysis.dims import (
    Dim,
    broadcast,
    exact_divide,
    floor_divide,
    fresh,
    is_nonnegative,
    less,
    maximum,
    minimum,
)
from onnxopt.analysis.ops.common import axes_of, map_content, unify

_TO_THE_END = (1 << 31) - 1
"""Ends from here on mean the end of the dimension, as the operator's specification suggests."""


@infers("Slice")
def infer_slice(context: Context) -> None:
    """A range with a step along some axes."""
    context.output(0, context.dtype(0))
    shape = list(context.known_shape(0))
    context.out.shape = unknown_shape(len(shape))
    starts, ends, axes, steps = _slice_arguments(context)
    axes = axes_of(range(len(starts)) if axes is None else axes, len(shape))
    if len({len(starts), len(ends), len(axes), len(steps)}) != 1 or len(set(axes)) != len(axes):
        raise Unknown
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        shape[axis] = slice_length(shape[axis], start, end, step)
    context.out.shape = tuple(shape)
    cells = context.cells(0)
    if cells is not None:
        context.set_cells(_cut(context, cells, axes, [starts, ends, steps]))


_Arguments = tuple[Sequence[Dim], Sequence[Dim], Sequence[int] | None, Sequence[Dim]]


def _slice_arguments(context: Context) -> _Arguments:
    if context.version < 10:
        begins, stops = context.integers("starts"), context.integers("ends")
        if begins is None or stops is None:
            raise Unknown
        return begins, stops, context.integers("axes"), (1,) * len(begins)
    axes = context.known_ints(3) if context.has(3) else None
    count = len(axes) if axes is not None else None
    starts = _bound_elements(context, 1, count)
    ends = _bound_elements(context, 2, count)
    steps = context.elements(4) if context.has(4) else (1,) * len(starts)
    return starts, ends, axes, steps


def _bound_elements(context: Context, index: int, count: int | None) -> tuple[Dim, ...]:
    """Starts or ends; of unknown value where only the number of axes is known."""
    try:
        return context.elements(index)
    except Unknown:
        if count is None:
            raise
        return unknown_elements(count)


def slice_length(dim: Dim, start: Dim, end: Dim, step: Dim) -> Dim:
    """The number of elements of ``[start:end:step]`` in a dimension; an unknown when it cannot be told."""
    if not isinstance(step, int) or step == 0:
        return fresh()
    if step < 0:
        return fresh() if _ambiguous(end, step) else _backward_length(dim, start, end, -step)
    first = _from_front(dim, start)
    if first is None:
        return fresh()
    if isinstance(end, int) and end >= _TO_THE_END:
        length = _tail_length(dim, start, first)
    else:
        last = _from_front(dim, end)
        if last is None:
            return fresh()
        length = maximum(minimum(maximum(last, 0), dim) - minimum(maximum(first, 0), dim), 0)
    return floor_divide(length + (step - 1), step)


def _tail_length(dim: Dim, start: Dim, first: Dim) -> Dim:
    """What ``[start:]`` leaves, of a dimension that is >= 0 whatever its expression tells."""
    if start == 0:
        return dim
    if isinstance(start, int) and start < 0:
        return minimum(-start, dim)
    return maximum(dim - first, 0) if is_nonnegative(start) else dim - maximum(first, 0)


def _from_front(dim: Dim, index: Dim) -> Dim | None:
    """An index counted from the front, not clamped; None when its sign is not known."""
    if is_nonnegative(index):
        return index
    return dim + index if less(index, 0) else None


def _backward_length(dim: Dim, start: Dim, end: Dim, step: int) -> Dim:
    first, last = _from_front(dim, start), _from_front(dim, end)
    if isinstance(start, int) and start >= _TO_THE_END:
        first = dim - 1
    if isinstance(end, int) and end <= -_TO_THE_END:
        last = -1
    if first is None or last is None:
        return fresh()
    first = minimum(maximum(first, 0), dim - 1)
    last = minimum(maximum(last, -1), dim - 1)
    return floor_divide(maximum(first - last, 0) + (step - 1), step)


def _cut(
    context: Context, cells: tuple[Dim, ...], axes: Sequence[int], ranges: list[Sequence[Dim]]
) -> tuple[Dim, ...] | None:
    """The elements that are left; None where not all ends are known."""
    shape = context.known_shape(0)
    grid = np.array(cells, object).reshape(shape)  # type: ignore[arg-type]
    for axis, (start, end, step) in zip(axes, zip(*ranges, strict=True), strict=True):
        if not (isinstance(start, int) and isinstance(end, int) and isinstance(step, int)):
            return None
        if _ambiguous(end, step):
            return None
        grid = np.take(grid, slice_indices(grid.shape[axis], start, end, step), axis)
    return tuple(grid.reshape(-1))


def _ambiguous(end: Dim, step: int) -> bool:
    """Whether runtimes differ: onnxruntime takes the greatest integers as the end that ``step`` goes to."""
    return step < 0 and isinstance(end, int) and end >= _TO_THE_END


def slice_indices(size: int, start: int, end: int, step: int) -> range:
    """The indices that ``[start:end:step]`` picks.

    A backward slice that starts before the first element starts at it, unlike in Python: the operator's specification
    clamps the start into ``[0, size - 1]`` and the end into ``[-1, size - 1]``.
    """
    first = start + size if start < 0 else start
    last = end + size if end < 0 else end
    if step > 0:
        return range(min(max(first, 0), size), min(max(last, 0), size), step)
    return range(min(max(first, 0), size - 1), min(max(last, -1), size - 1), step)


@infers("Split")
def infer_split(context: Context) -> None:
    """Consecutive parts along an axis."""
    for index in range(len(context.outs)):
        context.output(index, context.dtype(0))
    shape = context.known_shape(0)
    axis = normalize_axis(context.integer("axis", 0), len(shape))
    for fact in context.outs:
        fact.shape = (*shape[:axis], fresh(), *shape[axis + 1 :])
    sizes = _split_sizes(context, shape[axis])
    if len(sizes) != len(context.outs):
        raise Unknown
    content = context.content(0)
    offset = 0
    for fact, size in zip(context.outs, sizes, strict=True):
        fact.shape = (*shape[:axis], size, *shape[axis + 1 :])
        if isinstance(content, tuple) and isinstance(size, int):
            fact.content = content[offset : offset + size]
            offset += size
        else:
            content = None


def _split_sizes(context: Context, dim: Dim) -> Sequence[Dim]:
    if context.version < 13:
        sizes = context.integers("split")
        if sizes is not None:
            return sizes
        if context.has(1):
            raise Unknown
    elif context.has(1):
        return context.elements(1)
    count = len(context.outs)
    if context.version < 18:
        even = exact_divide(dim, count)
        return [floor_divide(dim, count) if even is None else even] * count
    count = context.integer("num_outputs", count)
    chunk = floor_divide(dim + (count - 1), count)
    return [chunk] * (count - 1) + [dim - chunk * (count - 1)]


@infers("Concat")
def infer_concat(context: Context) -> None:
    """The inputs one after the other along an axis."""
    count = len(context.inputs)
    dtypes = [context.dtype(index) for index in range(count)]
    context.output(0, next((dtype for dtype in dtypes if dtype is not None), None))
    shapes = [context.shape(index) for index in range(count)]
    known = [shape for shape in shapes if shape is not None]
    if not known:
        raise Unknown
    rank = len(known[0])
    axis = normalize_axis(context.integer("axis", 1 if context.version < 4 else 0), rank)
    result = [unify(shape[position] for shape in known) for position in range(rank)]
    total: Dim = 0
    for shape in known:
        total = total + shape[axis]
    result[axis] = total if len(known) == count else fresh()
    context.out.shape = tuple(result)
    if rank == 1:
        _concat_content(context)


def _concat_content(context: Context) -> None:
    length = context.out.shape
    if length is None or not isinstance(length[0], int) or length[0] > MAX_CONTENT:
        return
    values = context.inputs
    if all(context.facts.content(value) is None for value in values):
        return
    items: list[Dim] = []
    for value in values:
        content = context.facts.elements(value)
        if not isinstance(content, tuple):
            return
        items.extend(content)
    context.out.content = tuple(items)


@infers("Tile")
def infer_tile(context: Context) -> None:
    """Each dimension as many times as ``repeats`` says."""
    context.output(0, context.dtype(0))
    shape = context.known_shape(0)
    context.out.shape = unknown_shape(len(shape))
    if context.version < 6:
        raise Unknown
    repeats = context.elements(1)
    if len(repeats) != len(shape):
        raise Unknown
    context.out.shape = tuple(dim * count for dim, count in zip(shape, repeats, strict=True))
    content = context.content(0)
    if (
        isinstance(content, tuple)
        and isinstance(repeats[0], int)
        and len(content) * repeats[0] <= MAX_CONTENT
    ):
        context.out.content = content * repeats[0]


@infers("Expand")
def infer_expand(context: Context) -> None:
    """The input broadcast together with a shape."""
    context.output(0, context.dtype(0))
    target = context.elements(1)
    data = context.shape(0)
    if data is None:
        raise Unknown
    rank = max(len(data), len(target))
    padded = (1,) * (rank - len(data)) + data
    wanted = (1,) * (rank - len(target)) + target
    merged = [broadcast(dim, size) for dim, size in zip(padded, wanted, strict=True)]
    context.out.shape = tuple(fresh() if dim is None else dim for dim in merged)
    map_content(context, lambda item: item, 1)


@infers("Pad")
def infer_pad(context: Context) -> None:
    """Each dimension with what is added before and after it, or taken away."""
    context.output(0, context.dtype(0))
    shape = context.known_shape(0)
    context.out.shape = unknown_shape(len(shape))
    pads = _pads(context)
    axes = tuple(range(len(shape)))
    if context.version >= 18 and context.has(3):
        axes = axes_of(context.known_ints(3), len(shape))
    if len(pads) != 2 * len(axes):
        raise Unknown
    context.out.shape = _padded(shape, axes, pads)


def _pads(context: Context) -> Sequence[Dim]:
    if context.version >= 11:
        return context.elements(1)
    pads = context.integers("pads" if context.version >= 2 else "paddings")
    if pads is None:
        raise Unknown
    return pads


def _padded(shape: Shape, axes: Sequence[int], pads: Sequence[Dim]) -> Shape:
    result = list(shape)
    for position, axis in enumerate(axes):
        result[axis] = result[axis] + pads[position] + pads[position + len(axes)]
    return tuple(result)
