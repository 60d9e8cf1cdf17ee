"""Constant weights in integers: each rounded once, however many nodes read it.

What is large is rounded when the model is written; only scales are computed before.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from onnxopt.pipeline.base import Array, Context
from onnxopt.quantization.affine import Affine
from onnxopt.quantization.clipping import stored_weight, weight_affine
from onnxopt.quantization.types import QType
from onnxopt.rewrite import Builder
from onnxopt.rewrite.scopes import owner


@dataclass(frozen=True)
class Scheme:
    """How weights are stored.

    Attributes:
        qtype: The integer type, and the part of it that is used.
        symmetric: Whether 0 is the middle of the type's values.
        channels: Whether each output channel has a scale of its own.
        method: How ranges are chosen: ``minmax`` or ``mse``.
    """

    qtype: QType
    symmetric: bool
    channels: bool
    method: str


@dataclass(frozen=True)
class Stored:
    """A weight in integers.

    Attributes:
        integers: The constant.
        scale: Its scale, float32, a scalar or one for each channel.
        zero: Its zero point, of the integers' type and the scale's shape; None where it is 0.
    """

    integers: ir.Value
    scale: ir.Value
    zero: ir.Value | None

    @property
    def values(self) -> list[ir.Value]:
        """All constants of it."""
        return [v for v in (self.integers, self.scale, self.zero) if v is not None]


@dataclass
class Weights:
    """The weights quantised so far.

    Args:
        context: The model; its initializers are added to.
        scheme: How they are stored.
    """

    context: Context
    scheme: Scheme
    _affines: dict[tuple[ir.Value, bool], Affine] = field(default_factory=dict)
    _integers: dict[tuple[ir.Value, bool], ir.Value] = field(default_factory=dict)
    _scales: dict[tuple[ir.Value, bool, float], Stored] = field(default_factory=dict)

    def stored(
        self,
        build: Builder,
        weight: ir.Value,
        tensor: ir.TensorProtocol,
        *,
        transposed: bool = False,
        factor: float = 1.0,
    ) -> Stored:
        """A matrix in integers; made in the builder unless it exists.

        Args:
            build: Takes the constants; they are claimed with ``keep`` once the rewrite is made.
            weight: The constant, float32 [rows, channels], or [channels, rows] where ``transposed``.
            tensor: What it holds.
            transposed: Whether to store its transpose.
            factor: What the scale is multiplied with.
        """
        key = (weight, transposed)
        known = self._scales.get((*key, factor))
        if known is not None:
            return known
        affine = self._affine(key, tensor)
        shape = tuple(tensor.shape.numpy())
        shape = shape[::-1] if transposed else shape

        def compute() -> Array:
            array = tensor.numpy()
            return stored_weight(array.T if transposed else array, affine)

        qtype = self.scheme.qtype
        integers = self._integers.get(key)
        if integers is None:
            integers = build.lazy("quantised", qtype.dtype, shape, compute)
        scale = (affine.scale.astype(np.float64) * factor).astype(np.float32)
        zero = None
        if affine.zero_point.any():
            zero = build.const("zero_point", affine.zero_point, qtype.dtype)
        return Stored(integers, build.const("scale", scale), zero)

    def _affine(self, key: tuple[ir.Value, bool], tensor: ir.TensorProtocol) -> Affine:
        if key not in self._affines:
            array, scheme = tensor.numpy(), self.scheme
            self._affines[key] = weight_affine(
                array.T if key[1] else array,
                scheme.qtype,
                symmetric=scheme.symmetric,
                channels=scheme.channels,
                method=scheme.method,
            )
        return self._affines[key]

    def keep(self, stored: Stored, weight: ir.Value, *, transposed: bool, factor: float) -> None:
        """Puts a weight's constants beside the original, where all its readers can see them."""
        key = (weight, transposed)
        if (*key, factor) in self._scales:
            return
        home = _home(weight)
        for value in stored.values:
            if value.graph is None:
                home.initializers.add(value)
        self._integers[key] = stored.integers
        self._scales[(*key, factor)] = stored


def without(constants: list[ir.Value], stored: Stored) -> list[ir.Value]:
    """The constants of a rewrite that are not the weight's."""
    its = set(stored.values)
    return [v for v in constants if v not in its]


def _home(weight: ir.Value) -> ir.Graph:
    producer = weight.producer()
    if producer is not None:
        return owner(producer)
    assert isinstance(weight.graph, ir.Graph)
    return weight.graph
