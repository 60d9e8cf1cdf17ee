"""Weights of a matrix product in integers or 8-bit floats: what shares a scale, and rounding to nearest.

A weight is [K, N], where x @ w sums over K. Scales belong to blocks of rows within a column, to a column (a
channel), or to the whole tensor, as ``block_size`` and ``axis`` of the operator DequantizeLinear say. Every
column is independent of the others but for scales of the whole tensor, so a large weight is dealt with in panels
of columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import ModelError
from .types import QType

Array = np.ndarray[Any, Any]
Fit = Callable[[Array, "Scheme", Array, Array], tuple[Array, Array]]
"""Betters a grid: takes blocks [B, R, N], the scheme, scales and zero points [B, N]; returns the latter two."""


@dataclass(frozen=True)
class Scheme:
    """How a weight is stored.

    Attributes:
        qtype: The type of stored values.
        block: How many rows share a scale; None where all do.
        symmetric: Whether 0 is stored as the middle of the type; it is where that is a float.
        whole: Whether all columns share a scale too; then ``block`` is None.
        scale_dtype: The type scales are stored in, float32 or float16: integers are chosen for the rounded scale.
    """

    qtype: QType
    block: int | None = 32
    symmetric: bool = True
    whole: bool = False
    scale_dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.float32))

    @property
    def middle(self) -> int:
        """What stands for 0 where the scheme is symmetric: 0 of a signed type, half of an unsigned one."""
        return 0 if self.qtype.signed else (self.qtype.low + self.qtype.high + 1) // 2

    @property
    def storage(self) -> np.dtype[Any]:
        """The numpy type that holds one value in memory."""
        if self.qtype.floating:
            return self.qtype.dtype.numpy()
        return np.dtype(np.int8 if self.qtype.signed else np.uint8)

    def rows(self, depth: int) -> int:
        """How many rows of a weight of ``depth`` rows share a scale."""
        return depth if self.block is None else self.block

    def count(self, depth: int) -> int:
        """How many blocks a column of ``depth`` rows has."""
        return -(-depth // self.rows(depth)) if depth else 0


@dataclass(frozen=True)
class Blocked:
    """A weight in integers.

    Attributes:
        integers: [K, N], int8 or uint8 whatever the number of bits; of 8-bit floats, those.
        scale: [B, N], or [1, 1] of the whole tensor; in the scheme's type of scales.
        zero_point: Of the same type, in the shape of ``scale``.
    """

    integers: Array
    scale: Array
    zero_point: Array

    def restored(self, scheme: Scheme) -> Array:
        """Reads the weight back: float32 [K, N]."""
        depth = self.integers.shape[0]
        rows = scheme.rows(depth)
        scale = np.repeat(self.scale.astype(np.float32), rows, axis=0)[:depth]
        zero = np.repeat(self.zero_point.astype(np.float32), rows, axis=0)[:depth]
        restored: Array = (self.integers.astype(np.float32) - zero) * scale
        return restored


def round_to_nearest(weight: Array, scheme: Scheme, fit: Fit | None = None) -> Blocked:
    """Rounds each weight to the nearest stored value, on a grid that covers the range of its block.

    Args:
        weight: [K, N], float32; finite.
        scheme: How it is stored.
        fit: Betters the grid before weights are rounded.

    Raises:
        ModelError: The weight holds NaN or infinite values.
    """
    blocks = split(weight, scheme)
    low, high = limits(blocks)
    if scheme.whole:
        low, high = low.min(keepdims=True), high.max(keepdims=True)
    scale, zero = grid(low, high, scheme)
    if fit is not None:
        scale, zero = fit(blocks, scheme, scale, zero)
    return on_grid(weight, scheme, scale, zero)


def on_grid(weight: Array, scheme: Scheme, scale: Array, zero: Array) -> Blocked:
    """Rounds to a grid that is given.

    Args:
        weight: [K, N], float32.
        scheme: How it is stored.
        scale: [B, N] or [1, 1], of the scheme's type.
        zero: Zero points, whole numbers of any type, in the shape of ``scale``.
    """
    blocks = split(weight, scheme)
    steps = nearest(blocks, scheme.qtype, scale.astype(np.float32), zero.astype(np.float32))
    integers = steps.astype(scheme.storage).reshape(-1, weight.shape[1])[: weight.shape[0]]
    return Blocked(np.ascontiguousarray(integers), scale, zero.astype(scheme.storage))


def nearest(blocks: Array, qtype: QType, scale: Array, zero: Array) -> Array:
    """The nearest stored values, in float32.

    Args:
        blocks: [B, R, N], float32.
        qtype: Their type.
        scale: [B, N] or [1, 1], float32.
        zero: Likewise.

    Returns:
        [B, R, N], float32, within the type's limits.
    """
    steps: Array = blocks / scale[:, None, :]
    steps = qtype.rounded(steps)
    steps += zero[:, None, :]
    return np.clip(steps, qtype.low, qtype.high, out=steps)


def split(weight: Array, scheme: Scheme) -> Array:
    """A weight [K, N] as blocks [B, R, N]; the last one is filled up with zeros."""
    depth, width = weight.shape
    rows = scheme.rows(depth)
    missing = scheme.count(depth) * rows - depth
    if missing:
        weight = np.concatenate([weight, np.zeros((missing, width), weight.dtype)])
    return weight.reshape(scheme.count(depth), rows, width)


def limits(blocks: Array) -> tuple[Array, Array]:
    """The smallest and the largest value of each block [B, R, N], both [B, N].

    Raises:
        ModelError: A value is NaN or infinite.
    """
    low, high = blocks.min(axis=1), blocks.max(axis=1)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise ModelError(
            "holds NaN or infinite values, which integers cannot stand for; exclude it"
        )
    return low, high


def grid(low: Array, high: Array, scheme: Scheme) -> tuple[Array, Array]:
    """The scale and zero point of ranges, which are widened to hold 0.

    A symmetric grid uses the one step that the negative end has more, so that it is finer by an eighth where a
    block of int4 reaches further down than up.

    Args:
        low: The smallest values, float32.
        high: The largest, in the same shape.
        scheme: How values are stored.

    Returns:
        Scales of the scheme's type and zero points (float32, whole numbers), in the shape of ``low``.
    """
    qtype = scheme.qtype
    low, high = np.minimum(low, 0.0).astype(np.float64), np.maximum(high, 0.0).astype(np.float64)
    if scheme.symmetric or qtype.floating:
        middle = scheme.middle
        scale = usable(
            np.maximum(-low / (middle - qtype.low), high / (qtype.high - middle)), scheme
        )
        return scale, np.full(scale.shape, middle, np.float32)
    scale = usable((high - low) / (qtype.high - qtype.low), scheme)
    zero = np.rint(qtype.low - low / scale.astype(np.float64))
    return scale, np.clip(zero, qtype.low, qtype.high).astype(np.float32)


def usable(scale: Array, scheme: Scheme) -> Array:
    """Scales in the type they are stored in; 1 where that leaves nothing."""
    with np.errstate(over="ignore"):
        rounded = scale.astype(scheme.scale_dtype)
    bad = ~(rounded > 0) | ~np.isfinite(rounded)
    return np.where(bad, scheme.scale_dtype.type(1), rounded)


def packed(integers: Array, bits: int) -> Array:
    """The bytes ONNX stores: a value each, or two of 4 bits, the first in the lower half.

    Args:
        integers: int8, uint8 or 8-bit floats, of any shape.
        bits: 4 or 8.

    Returns:
        uint8, flat.
    """
    flat = np.ascontiguousarray(integers).reshape(-1).view(np.uint8)
    if bits == 8:
        return flat
    if flat.size % 2:
        flat = np.append(flat, np.uint8(0))
    pairs: Array = flat[1::2] << 4
    pairs |= flat[0::2] & 0x0F
    return pairs
