"""Whether a ``Clip`` after a layer can be shown never to reach its upper bound.

Only then is it a ``Relu``, which lets scales of channels pass. The range of what the layer reads must be known from what
makes it; each output is then at most the sum over its weights of the larger of w low and w high, plus the bias.
"""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from onnxopt.analysis.facts import Facts
from onnxopt.pipeline.base import Array

from ..static._scales import limits_of
from ._layers import STANDARD, Layer

_FIXED = {
    "HardSigmoid": (0.0, 1.0),
    "Sigmoid": (0.0, 1.0),
    "Softmax": (0.0, 1.0),
    "Tanh": (-1.0, 1.0),
}
_KEEPING = frozenset(
    {"AveragePool", "Flatten", "GlobalAveragePool", "Identity", "MaxPool", "Reshape", "Transpose"}
)
"""Their results lie within the range of their operand and 0."""
_MARGIN = 1e-4
"""Of the bound; float32 sums of many products are off by less."""
_DEPTH = 8


def never_reaches(facts: Facts, layer: Layer, limit: float) -> bool:
    """Whether every result of a layer is proven to be below a limit."""
    found = _range(facts, layer.node.inputs[0], _DEPTH)
    if found is None or layer.obstacle:
        return False
    low, high = min(found[0], 0.0), max(found[1], 0.0)
    highest, size = _highest(layer, low, high)
    return bool((highest + _MARGIN * size < limit).all())


def limits_known(facts: Facts, node: ir.Node) -> bool:
    """Whether the bounds of a ``Clip`` are constants."""
    return all(v is None or facts.const_tensor(v) is not None for v in node.inputs[1:])


def _range(facts: Facts, value: ir.Value | None, depth: int) -> tuple[float, float] | None:
    node = None if value is None else value.producer()
    if node is None or node.domain not in STANDARD or not depth:
        return None
    if node.op_type in _FIXED:
        return _FIXED[node.op_type]
    if node.op_type in _KEEPING and value is node.outputs[0]:
        return _range(facts, node.inputs[0], depth - 1)
    if node.op_type == "Clip" and limits_known(facts, node):
        low, high = limits_of(facts, node)
        return (low, high) if math.isfinite(low) and math.isfinite(high) else None
    return None


def _highest(layer: Layer, low: float, high: float) -> tuple[Array, Array]:
    """The largest possible result of each output channel, and the size of what is summed for it."""
    weight = np.asarray(layer.weight.numpy())
    weight = (weight.T if layer.across else weight).reshape(layer.outputs, -1)
    alpha, beta = (layer.node.attributes.get_float(name, 1.0) for name in ("alpha", "beta"))
    if alpha < 0.0:
        low, high = high, low
    positive = np.maximum(weight, 0.0).sum(axis=1, dtype=np.float64)
    negative = np.minimum(weight, 0.0).sum(axis=1, dtype=np.float64)
    bias = 0.0 if layer.bias is None else beta * layer.bias.astype(np.float64)
    size = abs(alpha) * (positive - negative) * max(abs(low), abs(high)) + np.abs(bias)
    return alpha * (positive * high + negative * low) + bias, size
