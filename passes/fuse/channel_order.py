"""A constant order of channels, before or after a ``Conv``, inside of its weight.

``Conv(x[:, p], W) = Conv(x, W[:, inverse of p])`` for a permutation ``p``, and ``Conv(x, W, b)[:, q] =
Conv(x, W[q], b[q])`` for any choice ``q`` of channels, both without groups. Models that take BGR images for RGB
ones begin with the first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Declined, Match, Skip, Var, one_of, op, rule

from .._forms import normalize, slice_ranges
from ._channels import Array, dims

_Order = np.ndarray[Any, np.dtype[np.int64]]


def _order(m: Match, channels: int) -> _Order:
    """Reads the channels that the matched ``Gather`` or ``Slice`` takes, from the front.

    Raises:
        Declined: They are not a list of channels.
    """
    if m.has("slice"):
        return _sliced(m, channels)
    indices = m.const("indices").astype(np.int64)
    if int(m.attr("gather", "axis", 0)) != 1 or indices.ndim != 1:
        raise Declined("it does not choose channels")
    if indices.size and not (-channels <= indices.min() and indices.max() < channels):
        raise Declined("an index is out of range")
    return np.where(indices < 0, indices + channels, indices)


def _sliced(m: Match, channels: int) -> _Order:
    ranges = slice_ranges(m, m.node("slice"))
    if len(ranges) != 1 or normalize(ranges[0].axis, m.rank("x")) != 1:
        raise Declined("it does not choose channels")
    r = ranges[0]
    beyond = r.step < 0 and r.end < -channels
    return np.arange(channels)[r.start : None if beyond else r.end : r.step]


def _weight(m: Match, build: Builder, order: _Order, axis: int) -> ir.Value:
    tensor = m.tensor("w")
    shape = list(dims(tensor))
    shape[axis] = order.size

    def compute() -> Array:
        return np.take(tensor.numpy(), order, axis=axis)

    return build.lazy("weight", tensor.dtype, shape, compute)


@rule(
    op.Conv(
        one_of(op.Gather("x", Const("indices"), bind="gather"), op.Slice("x", ..., bind="slice")),
        Const("w"),
        Var("b", optional=True),
        bind="conv",
    )
)
def take_order_into_conv(m: Match, build: Builder) -> ir.Value | Skip:
    """Take a permutation of channels into the weight of the ``Conv`` that reads them.

    Declines for several groups, and for indices that are no permutation of the channels.

    Example: Conv(Gather<axis=1>(x, [2,1,0]), w) -> Conv(x, w[:, [2,1,0]])
    """
    if int(m.attr("conv", "group", 1)) != 1:
        return Skip("the convolution has several groups")
    channels = m.static_shape("w")[1]
    order = _order(m, channels) if m.shape("x")[1:2] == (channels,) else None
    if order is None or sorted(order) != list(range(channels)):
        return Skip("the indices are no permutation of the channels")
    weight = _weight(m, build, np.argsort(order), 1)
    return build.like(m.node("conv"), m.value("x"), weight, m.maybe("b"))


@rule(
    op.Gather(
        op.Conv("x", Const("w"), Const("b", optional=True), bind="conv"),
        Const("indices"),
        bind="gather",
    )
)
def take_choice_into_conv(m: Match, build: Builder) -> ir.Value | Skip:
    """Compute only the channels of a ``Conv`` that a ``Gather`` takes, in its order.

    Declines for several groups, and where more channels would be computed than before.

    Example: Gather<axis=1>(Conv(x, w), [2,0]) -> Conv(x, w[[2,0]])
    """
    if int(m.attr("conv", "group", 1)) != 1:
        return Skip("the convolution has several groups")
    channels = m.static_shape("w")[0]
    order = _order(m, channels)
    if not 0 < order.size <= channels:
        return Skip("more channels would be computed, or none")
    inputs = [m.value("x"), _weight(m, build, order, 0)]
    if m.has("b"):
        inputs.append(build.const("bias", m.const("b")[order], m.dtype("b")))
    return build.like(m.node("conv"), *inputs)
