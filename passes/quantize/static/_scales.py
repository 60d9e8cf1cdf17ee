"""Scales and zero points for what a plan quantises."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir

from onnxopt.analysis.facts import Facts
from onnxopt.quantization.affine import Affine, Array, from_range
from onnxopt.quantization.table import Weighted
from onnxopt.quantization.types import QType, qtype

if TYPE_CHECKING:
    from ._plan import Plan

_BIAS_LIMIT = float(2**30)
"""Biases as int32 keep a bit of room for what the products add."""


@dataclass(frozen=True)
class Scheme:
    """The types and granularity asked for.

    Attributes:
        activations: The type of activations.
        weights: The type of weights.
        by_channel: Whether weights have a scale a channel.
        symmetric: Whether 0 is stored as the middle, for activations that have both signs.
        correct_bias: Whether what rounding weights adds on average is taken off biases.
    """

    activations: QType
    weights: QType
    by_channel: bool
    symmetric: bool
    correct_bias: bool = False

    @property
    def floating(self) -> bool:
        """Whether values are stored as 8-bit floats."""
        return self.weights.floating

    @property
    def widened(self) -> Scheme:
        """The same with activations in 16 bits."""
        return replace(self, activations=qtype("s16" if self.activations.signed else "u16"))


RangeOf = Callable[[ir.Value, QType], tuple[float, float]]


def activation_scales(
    facts: Facts,
    plan: Plan,
    scheme: Scheme,
    range_of: RangeOf,
    wide: Collection[ir.Value] = (),
) -> dict[ir.Value, Affine]:
    """Chooses how each quantised value is stored.

    Args:
        facts: Constants.
        plan: What is quantised.
        scheme: How.
        range_of: Gives the range of a value that is worth storing in a type.
        wide: Values that get 16 bits.

    Returns:
        By value; those that share a scale share the object.
    """
    roots: dict[ir.Value, Affine] = {}
    for root in plan.roots:
        own = scheme.widened if root in wide else scheme
        limits = limits_of(facts, plan.absorbed.get(root))
        roots[root] = activation_scale(range_of(root, own.activations), limits, own)
    return {value: roots[root] for value, root in plan.tensors.items()}


def activation_scale(
    spread: tuple[float, float], limits: tuple[float, float], scheme: Scheme
) -> Affine:
    """Chooses how a value is stored.

    Args:
        spread: The range that is worth storing.
        limits: What the operator that makes the value, and is absorbed, allows.
        scheme: How.
    """
    low, high = max(spread[0], limits[0]), min(spread[1], limits[1])
    one_sided = low >= 0.0 or high <= 0.0
    # Where one sign does not occur, half of a symmetric range would be wasted, and what rectifies not absorbed. Nor is what clips
    # where it does not treat both signs alike.
    symmetric = scheme.symmetric and not one_sided and limits[0] == -limits[1]
    found = from_range(low, high, scheme.activations, symmetric=symmetric)
    return _within(found, limits, fixed=symmetric)


def _within(found: Affine, limits: tuple[float, float], *, fixed: bool) -> Affine:
    """Sees to it that no stored value is beyond limits; as little as can be of the range is lost.

    The runtime absorbs a Clip only where nothing beyond its limits can be stored. Rounding the zero point moves the range by up to
    half a step: where that is beyond a limit, either the scale is lowered, or the zero point rounded the other way.

    Args:
        found: The scale and zero point.
        limits: The lowest and highest value that may be stored, infinite where there is no limit; 0 is within.
        fixed: Whether the zero point must stay.
    """
    zero, kind = int(found.zero_point), found.qtype
    zeros = (
        [zero] if fixed else [z for z in (zero, zero - 1, zero + 1) if kind.low <= z <= kind.high]
    )
    fitting = [(_largest(found, z, limits), z) for z in zeros]
    scale, zero = max(fitting, key=lambda pair: pair[0])  # the first of equals
    return Affine(kind, np.asarray(scale, np.float32), np.asarray(zero, np.int64))


def _largest(found: Affine, zero: int, limits: tuple[float, float]) -> np.float32:
    """The largest scale up to the one found with which all that is stored is within limits."""
    scale = np.float32(found.scale)
    for bound, edge in zip(limits, (found.qtype.low, found.qtype.high), strict=True):
        steps = abs(edge - zero)
        if math.isinf(bound) or not steps:
            continue
        scale = min(scale, np.float32(abs(bound) / steps))
        while np.float32(steps) * scale > abs(np.float32(bound)):
            scale = np.nextafter(scale, np.float32(0.0))
    return scale


def limits_of(facts: Facts, node: ir.Node | None) -> tuple[float, float]:
    """The range that a Relu or Clip leaves; everything where there is none."""
    if node is None:
        return -math.inf, math.inf
    if node.op_type == "Relu":
        return 0.0, math.inf
    bounds = (-math.inf, math.inf)
    low, high = (_bound(facts, node, i) for i in (1, 2))
    return (
        node.attributes.get_float("min", bounds[0]) if low is None else low,
        node.attributes.get_float("max", bounds[1]) if high is None else high,
    )


def _bound(facts: Facts, node: ir.Node, index: int) -> float | None:
    value = node.inputs[index] if index < len(node.inputs) else None
    tensor = None if value is None else facts.const_tensor(value)
    return None if tensor is None else float(tensor.numpy().reshape(-1)[0])


def channel_axis(node: ir.Node, form: Weighted, rank: int) -> int:
    """The axis of a weight along which its scales differ."""
    if node.op_type == "Gemm" and node.attributes.get_int("transB", False):
        return 0
    return form.channel % rank


def weight_scale(
    weight: Array, axis: int | None, scheme: Scheme, bias: Array | None, scale: Array
) -> Affine:
    """Chooses how weights are stored.

    Args:
        weight: float32, of any shape.
        axis: The axis of the channels [C]; None for one scale.
        scheme: How.
        bias: float32 [C], if there is one.
        scale: The activation's scale, a scalar.
    """
    if axis is None:
        low, high = np.asarray(weight.min(initial=0.0)), np.asarray(weight.max(initial=0.0))
    else:
        others = tuple(i for i in range(weight.ndim) if i != axis)
        low, high = weight.min(axis=others, initial=0.0), weight.max(axis=others, initial=0.0)
    symmetric = scheme.weights.signed
    found = from_range(low, high, scheme.weights, symmetric=symmetric, axis=axis)
    if bias is None or not bias.size:
        return found
    # A bias is stored in steps of both scales: where weights are tiny beside it, it would not fit.
    needed = np.abs(bias.astype(np.float64)) / (_BIAS_LIMIT * float(scale))
    least = needed if axis is not None else needed.max()
    return Affine(
        found.qtype, np.maximum(found.scale, least.astype(np.float32)), found.zero_point, axis
    )
