"""How large the channels of a value get, as far as constants of the model tell without any data.

A normalised value has mean 0 and deviation 1 over its channels, before it is scaled and shifted channel by channel. A
product of that has the mean and deviation that independent channels give; functions of it are looked at along its range.
These are estimates for comparing channels, no bounds: they find which channels stand out, not how large any gets.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from onnxopt.analysis.facts import Facts
from onnxopt.pipeline.base import Array
from onnxopt.quantization.outliers import NORMALISED, SUMMED, after_product, along, reach

from ...fuse._channels import dims
from ._layers import STANDARD
from ._pointwise import pointwise
from ._readers import Product, is_candidate

NORMS = frozenset({"LayerNormalization", "RMSNormalization"})
_DEPTH = 16


class UnknownError(Exception):
    """Constants do not tell; says why."""


@dataclass
class Reach:
    """Estimates for values of one model.

    Args:
        facts: Shapes and constants.
    """

    facts: Facts

    def of(self, value: ir.Value, channels: int) -> Array | str:
        """The largest magnitudes of a value's channels, or why they are not known.

        Args:
            value: float32 [..., channels].
            channels: Their number.

        Returns:
            float64 [channels].
        """
        try:
            with np.errstate(all="ignore"):
                points = _Function(self.facts, channels).at_points(value)
        except UnknownError as error:
            return str(error)
        found = reach(np.broadcast_to(points, (points.shape[0], channels)))
        return found if np.isfinite(found).all() else "an estimate of it is not finite"


@dataclass
class _Function:
    """A value as a function of another, at points along whose range it is computed."""

    facts: Facts
    channels: int
    _known: dict[ir.Value, Array] = field(default_factory=dict)
    _roots: list[ir.Value] = field(default_factory=list)

    def at_points(self, value: ir.Value, depth: int = _DEPTH) -> Array:
        """The value, float64 [points, channels] or what broadcasts to that."""
        if value in self._known:
            return self._known[value]
        tensor = self.facts.const_tensor(value)
        if tensor is not None:
            return self._constant(tensor)
        node = value.producer()
        if node is None or not depth:
            raise UnknownError("what makes what it reads does not tell how large its channels get")
        function = pointwise(node)
        root = _root(self.facts, node, self.channels)
        if root is not None:
            found = root
            self._roots.append(value)
            if len(self._roots) > 1:
                raise UnknownError("what it reads is made of two values")
        elif function is not None and None not in node.inputs:
            operands = [self.at_points(v, depth - 1) for v in node.inputs if v is not None]
            found = function(*operands)
        else:
            raise UnknownError(f"{node.op_type} before it does not tell how large its channels get")
        self._known[value] = found
        return found

    def _constant(self, tensor: ir.TensorProtocol) -> Array:
        shape = tuple(dims(tensor))
        if any(d != 1 for d in shape[:-1]) or (shape and shape[-1] not in (1, self.channels)):
            raise UnknownError("what it reads has a constant that varies beyond the channels")
        return tensor.numpy().astype(np.float64).reshape(1, -1)


def _root(facts: Facts, node: ir.Node, channels: int) -> Array | None:
    """Points along the range of a normalised value or a product of one; None where the node makes neither."""
    normalised = _normalised(facts, node)
    if normalised is not None:
        return along(*normalised, NORMALISED) if len(normalised[0]) == channels else None
    if not is_candidate(facts, node) or len(facts.shape(node.inputs[1]) or ()) != 2:
        return None
    source = node.inputs[0].producer() if node.inputs[0] is not None else None
    operand = None if source is None else _normalised(facts, source)
    product = Product(node, bool(node.attributes.get_int("transB", 0)))
    if operand is None or product.inputs(facts) != len(operand[0]):
        return None
    mean, spread = after_product(*operand, lambda: product.matrix(facts), 0.0)
    alpha = node.attributes.get_float("alpha", 1.0)
    if len(mean) != channels or node.attributes.get_int("transA", False):
        return None
    bias = _bias(facts, node, channels)
    return None if bias is None else along(alpha * mean + bias, abs(alpha) * spread, SUMMED)


def _normalised(facts: Facts, node: ir.Node) -> tuple[Array, Array] | None:
    """Mean and deviation of each channel a normalisation makes."""
    if node.op_type not in NORMS or node.domain not in STANDARD:
        return None
    vectors = [_vector(facts, v) for v in node.inputs[1:3]]
    if not vectors or any(v is None for v in vectors):
        return None
    scale = vectors[0]
    assert scale is not None
    shift = vectors[1] if len(vectors) > 1 else None
    if shift is not None and shift.shape != scale.shape:
        return None
    return (np.zeros_like(scale) if shift is None else shift), np.abs(scale)


def _vector(facts: Facts, value: ir.Value | None) -> Array | None:
    tensor = facts.const_tensor(value)
    if tensor is None or len(tensor.shape) != 1:
        return None
    return tensor.numpy().astype(np.float64)


def _bias(facts: Facts, node: ir.Node, channels: int) -> Array | None:
    """What a ``Gemm`` adds to each channel."""
    value = node.inputs[2] if len(node.inputs) > 2 else None
    if value is None:
        return np.zeros(channels)
    vector = _vector(facts, value)
    if vector is None or vector.shape != (channels,):
        return None
    return node.attributes.get_float("beta", 1.0) * vector
