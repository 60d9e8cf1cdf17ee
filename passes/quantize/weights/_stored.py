"""A weight's integers, scales and zero points: computed together, when the first of them is written.

The three are written one after another, so it is enough to keep the results of one weight: memory stays bounded
by one weight's integers however many there are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_ir as ir

from onnxopt.errors import ModelError
from onnxopt.quantization.blocks import (
    Blocked,
    Fit,
    Scheme,
    grid,
    limits,
    on_grid,
    packed,
    round_to_nearest,
    split,
)

from ._columns import Columns

Array = np.ndarray[Any, Any]
Round = Callable[[Array, Scheme], Blocked]
"""Rounds a panel of columns [K, n]."""
PARTS = ("quantized", "scale", "zero_point")


@dataclass
class Parts:
    """A weight as it is stored.

    Attributes:
        quantized: [K, N], the bytes that ONNX stores.
        scale: In the shape that DequantizeLinear takes.
        zero_point: Likewise, the bytes that ONNX stores.
    """

    quantized: Array
    scale: Array
    zero_point: Array


@dataclass(eq=False)
class Job:
    """The work on one weight.

    Attributes:
        name: The weight's name, for messages.
        columns: The weight.
        scheme: How it is stored.
        round: How a panel is rounded; not used where the tensor has one scale.
        slot: Keeps the results of the weight worked on last.
        done: The results, where they were computed ahead.
        spread: Whether the one scale of a tensor is stored for each column. onnxruntime makes scalars of equal value
            one constant, after which products that read the same weight no longer fuse.
    """

    name: str
    columns: Columns
    scheme: Scheme
    round: Round
    slot: Slot
    done: Parts | None = None
    spread: bool = False

    def compute(self, rounding: Round | None = None) -> Parts:
        """Quantises the weight.

        Args:
            rounding: How, other than ``round`` says. It is not kept, since it may hold much.

        Raises:
            ModelError: It holds NaN or infinite values.
        """
        try:
            integers, scale, zero = _computed(self.columns, self.scheme, rounding or self.round)
        except ModelError as error:
            raise ModelError(f"weight {self.name!r}: {error}") from error.__cause__
        if self.spread:
            width = self.columns.dims[1]
            scale, zero = np.repeat(scale, width), np.repeat(zero, width)
        bits = self.scheme.qtype.bits
        return Parts(packed(integers, bits), scale, packed(zero, bits))

    def shape(self, part: str) -> tuple[int, ...]:
        """The shape of one of the tensors."""
        depth, width = self.columns.dims
        if part == "quantized":
            return depth, width
        if self.scheme.whole:
            return (width,) if self.spread else ()
        return (width,) if self.scheme.block is None else (self.scheme.count(depth), width)

    def dtype(self, part: str) -> ir.DataType:
        """The element type of one of the tensors."""
        if part == "scale":
            return ir.DataType.from_numpy(self.scheme.scale_dtype)
        return self.scheme.qtype.dtype

    def tensor(self, part: str) -> ir.TensorProtocol:
        """One of the tensors, computed now."""
        parts = self.done or self.slot.of(self)
        array, dtype, shape = getattr(parts, part), self.dtype(part), self.shape(part)
        if dtype.bitwidth < 8:
            return ir.PackedTensor(array, dtype, shape=ir.Shape(shape))
        return ir.Tensor(array.view(dtype.numpy()).reshape(shape), dtype)

    @property
    def nbytes(self) -> int:
        """The bytes of all its tensors together, zero points left out where there need be none."""
        parts = PARTS if self.needs_zero_point else PARTS[:2]
        sizes = (int(np.prod(self.shape(p), dtype=object)) * self.dtype(p).bitwidth for p in parts)
        return sum((size + 7) // 8 for size in sizes)

    @property
    def needs_zero_point(self) -> bool:
        """Whether zero points are other than 0."""
        return not (self.scheme.symmetric and self.scheme.middle == 0)


@dataclass
class Slot:
    """Keeps the results of one weight."""

    _job: Job | None = field(default=None, init=False)
    _parts: Parts | None = field(default=None, init=False)

    def of(self, job: Job) -> Parts:
        """The results of a job, computed unless it was the last one."""
        if self._job is not job or self._parts is None:
            self._parts = None  # Before the next is computed: one weight at a time.
            self._parts, self._job = job.compute(), job
        return self._parts


def _computed(columns: Columns, scheme: Scheme, rounding: Round) -> tuple[Array, Array, Array]:
    depth, width = columns.dims
    count = 1 if scheme.whole else scheme.count(depth)
    integers = np.empty((depth, width), scheme.storage)
    scale = np.empty((count, 1 if scheme.whole else width), scheme.scale_dtype)
    zero = np.empty(scale.shape, scheme.storage)
    if scheme.whole:
        scale, zero = _range_of_all(columns, scheme)
    for at, panel in columns.panels():
        if scheme.whole:
            integers[:, at] = on_grid(panel, scheme, scale, zero).integers
            continue
        found = rounding(panel, scheme)
        integers[:, at], scale[:, at], zero[:, at] = found.integers, found.scale, found.zero_point
    return integers, scale, zero.astype(scheme.storage)


def _range_of_all(columns: Columns, scheme: Scheme) -> tuple[Array, Array]:
    """The one scale and zero point of a tensor, [1, 1] each."""
    low, high = np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32)
    for _, panel in columns.panels():
        least, most = limits(split(panel, scheme))
        low, high = np.minimum(low, least.min()), np.maximum(high, most.max())
    return grid(low, high, scheme)


def with_fit(fit: Fit | None) -> Round:
    """Rounding to nearest, on grids that are bettered first."""

    def rounding(panel: Array, scheme: Scheme) -> Blocked:
        return round_to_nearest(panel, scheme, fit)

    return rounding
