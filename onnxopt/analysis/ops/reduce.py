"""Operators that reduce over axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from operator import add

from onnxopt.analysis.context import Context, Shape, infers, normalize_axis, unknown_shape
from onnxopt.analysis.dims import Dim, maximum, minimum, product
from onnxopt.analysis.ops.common import INT64, axes_of, representable

_AXES_INPUT_SINCE = {"ReduceSum": 13}
_FOLDS: dict[str, Callable[[tuple[Dim, ...]], Dim]] = {
    "ReduceProd": product,
    "ReduceSum": lambda items: reduce(add, items),
    "ReduceMax": lambda items: maximum(*items),
    "ReduceMin": lambda items: minimum(*items),
}


@infers(
    *("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean"),
    *("ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"),
)
def infer_reduce(context: Context) -> None:
    """The reduced axes become 1 or are left out."""
    context.output(0, context.dtype(0))
    keep = context.integer("keepdims", 1) == 1
    shape = context.shape(0)
    if shape is None:
        return
    if keep:
        context.out.shape = unknown_shape(len(shape))
    since = _AXES_INPUT_SINCE.get(context.node.op_type, 18)
    axes = context.list_or_input("axes", 1, since)
    if not axes:
        if context.integer("noop_with_empty_axes", 0):
            context.out.shape = shape
            return
        axes = tuple(range(len(shape)))
    context.out.shape = reduced(shape, axes_of(axes, len(shape)), keep)
    _fold(context, shape)


def reduced(shape: Shape, axes: Sequence[int], keep: bool) -> Shape:
    """A shape with the axes, counted from the front, reduced."""
    if keep:
        return tuple(1 if axis in axes else dim for axis, dim in enumerate(shape))
    return tuple(dim for axis, dim in enumerate(shape) if axis not in axes)


def _fold(context: Context, shape: Shape) -> None:
    """The content of a list reduced to one element."""
    content = context.content(0)
    fold = _FOLDS.get(context.node.op_type)
    if not isinstance(content, tuple) or fold is None or len(shape) != 1 or not content:
        return
    context.set_cells(representable((fold(content),), context.out.dtype))


@infers("ArgMax", "ArgMin")
def infer_arg(context: Context) -> None:
    """Indices along an axis."""
    context.output(0, INT64)
    shape = context.known_shape(0)
    axis = normalize_axis(context.integer("axis", 0), len(shape))
    context.out.shape = reduced(shape, (axis,), context.integer("keepdims", 1) == 1)
