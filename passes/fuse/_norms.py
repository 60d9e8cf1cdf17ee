"""What the rules for ``LayerNormalization`` and ``RMSNormalization`` share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Declined, Match, OneOf, Op, Var, one_of, op

from .._forms import normalize_all, raw_axes
from ._channels import Array

TYPES = frozenset({ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16})
"""Types whose normalisation happens in single precision, as the operators define it."""


def quotients(x: Op | OneOf | Var, radicand: Op) -> tuple[Op, ...]:
    """Spells ``x / sqrt(radicand)`` as exporters do, with or without a cast of the divisor."""
    root = op.Sqrt(radicand)
    inverse = one_of(op.Reciprocal(root), op.Div(1.0, root), op.Pow(radicand, Const(equals=-0.5)))
    return (
        op.Div(x, one_of(root, op.Cast(root))),
        op.Mul(x, one_of(inverse, op.Cast(inverse))),
    )


@dataclass(frozen=True)
class Extent:
    """The trailing axes that are normalised.

    Attributes:
        axis: The first of them, counted from the end.
        shape: Their dims.
    """

    axis: int
    shape: tuple[int, ...]


def reduced_extent(m: Match, node: ir.Node, x: ir.Value) -> Extent:
    """Returns the trailing axes of ``x`` that a reduction with ``keepdims`` averages over.

    Raises:
        Declined: They are not trailing, or their dims are not known.
    """
    axes = raw_axes(m, node)
    if not axes or not m.attr(node, "keepdims", 1):
        raise Declined("the mean drops its axes, or has none")
    shape = m.shape(x)
    first = len(shape) - len(axes)
    if sorted(normalize_all(axes, len(shape))) != list(range(first, len(shape))):
        raise Declined("the mean is not over the last axes")
    return _extent(shape[first:])


def normalized_extent(m: Match, node: ir.Node, x: ir.Value) -> Extent:
    """Returns the trailing axes that a normalisation operator works on."""
    shape = m.shape(x)
    axis = int(m.attr(node, "axis", -1))
    if not -len(shape) <= axis < len(shape):
        raise Declined("the axis lies outside of the rank")
    return _extent(shape[axis:] if axis < 0 else shape[axis - len(shape) :])


def _extent(dims: tuple[object, ...]) -> Extent:
    known = tuple(d for d in dims if isinstance(d, int))
    if len(known) != len(dims):
        raise Declined("the size of the normalised axes is not known")
    return Extent(-len(known), known)


def epsilon(m: Match, x: ir.Value) -> float:
    """Reads the constant ``eps``, one number that does not change the rank."""
    array = m.const("eps")
    if array.size != 1 or array.ndim > m.rank(x):
        raise Declined("epsilon is not one number")
    return float(array.reshape(-1)[0])


def ones(build: Builder, extent: Extent, dtype: ir.DataType) -> ir.Value:
    """Builds a scale of ones."""
    return build.const("scale", np.ones(extent.shape), dtype)


def fitted(constant: Array, extent: Extent, rank: int) -> Array:
    """Spreads a constant over the normalised axes, in float64.

    Raises:
        Declined: It varies along other axes, or would change the shape.
    """
    lead = max(constant.ndim - len(extent.shape), 0)
    if constant.ndim > rank or any(d != 1 for d in constant.shape[:lead]):
        raise Declined("the constant varies beyond the normalised axes")
    inner = constant.reshape(constant.shape[lead:])
    aligned = extent.shape[len(extent.shape) - inner.ndim :]
    if any(d not in (1, e) for d, e in zip(inner.shape, aligned, strict=True)):
        raise Declined("the constant widens the shape")
    return np.broadcast_to(inner.astype(np.float64), extent.shape)
