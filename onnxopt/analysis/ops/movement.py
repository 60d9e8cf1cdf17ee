"""Operators that keep the elements and their order: Reshape, Flatten, Squeeze, Unsqueeze, and Transpose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from onnxopt.analysis.context import Context, Shape, Unknown, infers, normalize_axis, unknown_shape
from onnxopt.analysis.dims import (
    Dim,
    DimExpr,
    at_least,
    fresh,
    product,
)
from onnxopt.analysis.ops.common import axes_of, volume_ratio


@infers("Reshape")
def infer_reshape(context: Context) -> None:
    """The target's dimensions; ``0`` copies one, ``-1`` is what is left.

    A symbolic target is taken not to be zero unless ``allowzero`` is set.
    """
    context.output(0, context.dtype(0))
    target = _reshape_target(context)
    data = context.shape(0)
    copies = context.integer("allowzero", 0) == 0
    dims = [
        _target_dim(index, item, data, copies, context.facts.is_count(item))
        for index, item in enumerate(target)
    ]
    context.out.shape = _solve(dims, target, data)
    context.set_cells(context.cells(0))


def _reshape_target(context: Context) -> tuple[Dim, ...]:
    if context.version >= 5:
        return context.elements(1)
    target = context.integers("shape")
    if target is None:
        raise Unknown
    return target


def _target_dim(
    index: int, item: Dim, data: Shape | None, copies: bool, is_count: bool
) -> Dim | None:
    """One dimension of the output; None for one that follows from the rest."""
    if isinstance(item, int):
        if item == 0 and copies:
            if data is None:
                return fresh()
            if index >= len(data):
                raise Unknown
            return data[index]
        return None if item < 0 else item
    return item if is_count else None


def _solve(dims: list[Dim | None], target: tuple[Dim, ...], data: Shape | None) -> Shape:
    """Fills in the one dimension that follows from the others."""
    known = [dim for dim in dims if dim is not None]
    missing = [index for index, dim in enumerate(dims) if dim is None]
    answer: Dim | None = None
    if len(missing) == 1 and data is not None:
        answer = volume_ratio(data, known)
        asked = target[missing[0]]
        # A number that may be negative, zero or positive decides itself among zeros.
        if asked not in (-1, answer) and not all(at_least(dim, 1) for dim in known):
            answer = None
    return tuple((fresh() if answer is None else answer) if dim is None else dim for dim in dims)


@infers("Flatten")
def infer_flatten(context: Context) -> None:
    """A matrix: the product of the dimensions before the axis and of those from it on."""
    context.output(0, context.dtype(0), unknown_shape(2))
    shape = context.known_shape(0)
    axis = context.integer("axis", 1)
    if not -len(shape) <= axis <= len(shape):
        raise Unknown
    axis = axis + len(shape) if axis < 0 else axis
    context.out.shape = (product(shape[:axis]), product(shape[axis:]))
    context.set_cells(context.cells(0))


@infers("Squeeze")
def infer_squeeze(context: Context) -> None:
    """Without the given axes, or without every dimension that is 1."""
    context.output(0, context.dtype(0))
    shape = context.known_shape(0)
    axes = context.list_or_input("axes", 1, 13)
    if axes is None:
        context.out.shape = tuple(dim for dim in shape if _stays(dim))
    elif not axes:
        raise Unknown
    else:
        dropped = axes_of(axes, len(shape))
        context.out.shape = tuple(dim for axis, dim in enumerate(shape) if axis not in dropped)
    context.set_cells(context.cells(0))


def _stays(dim: Dim) -> bool:
    if isinstance(dim, DimExpr) and not at_least(dim, 2):
        raise Unknown
    return dim != 1


@infers("Unsqueeze")
def infer_unsqueeze(context: Context) -> None:
    """With dimensions of 1 at the given axes of the output."""
    context.output(0, context.dtype(0))
    shape = context.known_shape(0)
    if context.version >= 13:
        count = len(context.elements(1))
        context.out.shape = unknown_shape(len(shape) + count)
    axes = context.list_or_input("axes", 1, 13)
    if axes is None:
        raise Unknown
    context.out.shape = _with_ones(shape, axes)
    context.set_cells(context.cells(0))


def _with_ones(shape: Sequence[Dim], axes: Sequence[int]) -> Shape:
    rank = len(shape) + len(axes)
    ones = set(axes_of(axes, rank))
    if len(ones) != len(axes):
        raise Unknown
    rest = iter(shape)
    return tuple(1 if axis in ones else next(rest) for axis in range(rank))


@infers("Transpose")
def infer_transpose(context: Context) -> None:
    """The dimensions in the order of ``perm``, reversed without it."""
    context.output(0, context.dtype(0))
    shape = context.known_shape(0)
    perm = context.integers("perm")
    if perm is None:
        perm = tuple(range(len(shape)))[::-1]
    if len(perm) != len(shape):
        raise Unknown
    context.out.shape = tuple(shape[normalize_axis(axis, len(shape))] for axis in perm)
    cells = context.cells(0)
    if cells is not None:
        grid = np.array(cells, object).reshape(shape)  # type: ignore[arg-type]
        context.set_cells(tuple(grid.transpose(perm).reshape(-1)))
