"""``Conv`` and ``ConvTranspose`` with an affine map of their output channels folded in.

The weight of ``Conv`` is ``[C_out, C_in / group, ...]``. That of ``ConvTranspose`` is
``[C_in, C_out / group, ...]``: output channel ``g * C_out / group + j`` lies in column ``j`` of the
``g``-th block of rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Declined, Match, Var, op

from ._channels import Affine, Array, scaled_weight

CONV = op("Conv", "ConvTranspose")(Var("x"), Var("w"), Const("b", optional=True), bind="conv")


@dataclass(frozen=True)
class Kernel:
    """The extents of a convolution's weight.

    Attributes:
        shape: The whole shape.
        group: The number of groups.
        channels: The number of output channels.
        transposed: Whether it belongs to ``ConvTranspose``.
    """

    shape: tuple[int, ...]
    group: int
    channels: int
    transposed: bool


def kernel_of(m: Match) -> Kernel:
    """Reads the extents of the matched convolution's weight, or declines."""
    node = m.node("conv")
    shape = m.static_shape("w")
    group = int(m.attr(node, "group", 1))
    if len(shape) < 3 or group < 1:
        raise Declined("the convolution's weight or group is malformed")
    transposed = node.op_type == "ConvTranspose"
    channels = shape[1] * group if transposed else shape[0]
    return Kernel(shape, group, channels, transposed)


def _weight_factor(kernel: Kernel, scale: Array) -> Array:
    spatial = (1,) * (len(kernel.shape) - 2)
    if not kernel.transposed:
        return scale.reshape(-1, 1, *spatial)
    rows = kernel.shape[0] // kernel.group
    by_group = scale.reshape(kernel.group, 1, kernel.shape[1])
    table = np.broadcast_to(by_group, (kernel.group, rows, kernel.shape[1]))
    return table.reshape(*kernel.shape[:2], *spatial)


def with_affine(m: Match, build: Builder, kernel: Kernel, affine: Affine) -> ir.Value:
    """Builds the matched convolution with an affine map of its output channels folded in."""
    factor = None if affine.scale is None else _weight_factor(kernel, affine.scale)
    weight = scaled_weight(m, build, "w", factor)
    inputs = [m.value("x"), weight]
    bias = affine.on(m.const("b") if m.has("b") else None)
    if bias is not None:
        if bias.shape != (kernel.channels,):
            raise Declined("the convolution's bias does not match its channels")
        inputs.append(build.const("bias", bias, m.dtype("w")))
    return build.like(m.node("conv"), *inputs)
