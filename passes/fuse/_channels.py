"""Scaling and shifting the output channels of a linear operator, inside its weight and bias.

``s * (W x + b) + t = (s W) x + (s b + t)``, with one ``s`` and one ``t`` for each output channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import onnx_ir as ir

from onnxopt.rewrite import Builder, Declined, Match

Array = np.ndarray[Any, Any]
_BLOCK_ELEMENTS = 1 << 16
_LARGEST_HALF = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class Affine:
    """What is done to each output channel.

    Attributes:
        scale: float64 factors, one for each channel; None for no scaling.
        shift: float64 summands, one for each channel; None for no shifting.
    """

    scale: Array | None
    shift: Array | None

    @overload
    def on(self, bias: Array) -> Array: ...

    @overload
    def on(self, bias: None) -> Array | None: ...

    @overload
    def on(self, bias: Array | None) -> Array | None: ...

    def on(self, bias: Array | None) -> Array | None:
        """Returns the bias that has the affine map in it; None for no bias.

        Args:
            bias: The bias before, in any shape that broadcasts with one number a channel last.
        """
        if bias is None:
            return self.shift
        value = np.asarray(bias, dtype=np.float64)
        if self.scale is not None:
            value = value * self.scale
        return value if self.shift is None else value + self.shift


def per_channel(constant: Array, rank: int, axis: int, channels: int) -> Array | None:
    """Reads a constant that broadcasts with one number, or one for each channel.

    A constant aligns with the *last* axes of the value it meets, so that ``[C]`` is one number a
    channel only where the channels are last.

    Args:
        constant: The constant.
        rank: The rank of the value it meets.
        axis: Where that value has its channels.
        channels: How many it has.

    Returns:
        float64 numbers of shape ``[channels]``; None where the constant varies along another axis or
        would change the shape.
    """
    if constant.ndim > rank:
        return None
    shape = (1,) * (rank - constant.ndim) + constant.shape
    others = [dim for i, dim in enumerate(shape) if i != axis]
    if any(dim != 1 for dim in others) or shape[axis] not in (1, channels):
        return None
    numbers = constant.reshape(-1).astype(np.float64)
    return np.broadcast_to(numbers, (channels,))


def arithmetic(op_type: str, constant: Array, constant_first: bool) -> Affine:
    """Returns ``Add``, ``Sub``, ``Mul`` or ``Div`` by a constant as an affine map.

    Raises:
        Declined: It is none (a quotient of the constant by the channels, a division by zero).
    """
    if op_type == "Add":
        return Affine(None, constant)
    if op_type == "Sub":
        if constant_first:
            return Affine(np.full_like(constant, -1.0), constant)
        return Affine(None, -constant)
    if op_type == "Mul":
        return finite(Affine(constant, None))
    if constant_first:
        raise Declined("the constant is divided by the channels")
    with np.errstate(divide="ignore"):
        return finite(Affine(1.0 / constant, None))


def normalization(m: Match, node: ir.Node, channels: int) -> Affine:
    """Returns a ``BatchNormalization`` at inference as an affine map.

    Source: https://onnx.ai/onnx/operators/onnx__BatchNormalization.html.

    Raises:
        Declined: It is in training mode, is not per channel, or its parameters do not fit.
    """
    if m.attr(node, "training_mode", 0) or any(v.name for v in node.outputs[1:]):
        raise Declined("BatchNormalization is in training mode")
    if not m.attr(node, "spatial", 1):
        raise Declined("BatchNormalization is not per channel")
    names = ("scale", "beta", "mean", "var")
    scale, beta, mean, var = (m.const(name).astype(np.float64) for name in names)
    if any(vector.shape != (channels,) for vector in (scale, beta, mean, var)):
        raise Declined("the parameters of BatchNormalization do not match the channels")
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = scale / np.sqrt(var + float(m.attr(node, "epsilon", 1e-5)))
    return finite(Affine(factor, beta - mean * factor))


def finite(affine: Affine) -> Affine:
    """Declines scales that are not finite: they would make every weight infinite or NaN."""
    if affine.scale is not None and not np.isfinite(affine.scale).all():
        raise Declined("a factor is not finite")
    return affine


def scaled(tensor: ir.TensorProtocol, factor: Array) -> Array:
    """Multiplies a weight by a factor that broadcasts to it, in float64, rounding once.

    Done block by block along the first axis, so that the float64 copy stays small.
    """
    weight = tensor.numpy()
    factor = factor.reshape((1,) * (weight.ndim - factor.ndim) + factor.shape)
    out = np.empty(weight.shape, weight.dtype)
    row = max(1, weight.size // max(1, weight.shape[0]))
    step = max(1, _BLOCK_ELEMENTS // row)
    for start in range(0, weight.shape[0], step):
        block = slice(start, start + step)
        part = factor if factor.shape[0] == 1 else factor[block]
        out[block] = (weight[block].astype(np.float64) * part).astype(weight.dtype)
    return out


def scaled_weight(
    m: Match, build: Builder, weight: str | ir.Value, factor: Array | None, hint: str = "weight"
) -> ir.Value:
    """Builds a weight times a factor, computed when the model is written.

    Args:
        m: The match, for reading the weight.
        build: Makes the constant.
        weight: The weight; it must be a constant unless ``factor`` is None.
        factor: Broadcasts to the weight; None to keep the weight as it is.
        hint: What the constant is, for its name.

    Raises:
        Declined: The product may be out of the range of half precision.
    """
    value = m.value(weight) if isinstance(weight, str) else weight
    if factor is None:
        return value
    tensor = m.tensor(value)
    given = np.array(factor)
    if tensor.dtype == ir.DataType.FLOAT16:
        _require_range(tensor, given)
    shape = dims(tensor)
    return build.lazy(hint, tensor.dtype, shape, lambda: scaled(tensor, given))


def _require_range(tensor: ir.TensorProtocol, factor: Array) -> None:
    """Declines where a weight times a factor may overflow in half precision."""
    largest = float(np.max(np.abs(factor), initial=0.0))
    if largest <= 1.0:
        return
    weight = float(np.max(np.abs(tensor.numpy()), initial=0.0))
    if weight * largest > _LARGEST_HALF >= weight:
        raise Declined("the scaled weight may be out of the range of half precision")


def dims(tensor: ir.TensorProtocol) -> Sequence[int]:
    """Returns the shape of a constant."""
    return tuple(int(dim) for dim in tensor.shape.numpy())
