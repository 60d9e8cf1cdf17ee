"""Operators that compute each element from the same element of their operands, as functions of numpy arrays.

Only for estimates: they are computed in float64, and where a value would not be finite nobody relies on it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx_ir as ir

from onnxopt.pipeline.base import Array

_erf = np.vectorize(math.erf, otypes=[np.float64])


def pointwise(node: ir.Node) -> Callable[..., Any] | None:
    """What a node computes of its operands in order; None where it isn't known to work element by element."""
    if node.domain not in ("", "ai.onnx") or len(node.outputs) != 1:
        return None
    if node.op_type in _PLAIN:
        return _PLAIN[node.op_type]
    made = _WITH_ATTRIBUTES.get(node.op_type)
    return None if made is None else made(node.attributes)


def _sigmoid(x: Array) -> Array:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))


def _gelu(attributes: Any) -> Callable[..., Any]:
    if attributes.get_string("approximate", "none") == "tanh":
        inner = math.sqrt(2.0 / math.pi)
        return lambda x: 0.5 * x * (1.0 + np.tanh(inner * (x + 0.044715 * x**3)))
    return lambda x: 0.5 * x * (1.0 + _erf(x / math.sqrt(2.0)))


def _leaky(attributes: Any) -> Callable[..., Any]:
    alpha = attributes.get_float("alpha", 0.01)
    return lambda x: np.where(x < 0.0, alpha * x, x)


def _elu(attributes: Any) -> Callable[..., Any]:
    alpha = attributes.get_float("alpha", 1.0)
    return lambda x: np.where(x < 0.0, alpha * np.expm1(np.minimum(x, 0.0)), x)


def _hard_sigmoid(attributes: Any) -> Callable[..., Any]:
    alpha, beta = attributes.get_float("alpha", 0.2), attributes.get_float("beta", 0.5)
    return lambda x: np.clip(alpha * x + beta, 0.0, 1.0)


def _swish(attributes: Any) -> Callable[..., Any]:
    alpha = attributes.get_float("alpha", 1.0)
    return lambda x: x * _sigmoid(alpha * x)


def _clip(x: Array, low: Array | float = -np.inf, high: Array | float = np.inf) -> Array:
    return np.asarray(np.minimum(np.maximum(x, low), high))


_PLAIN: Mapping[str, Callable[..., Any]] = {
    "Abs": np.abs,
    "Add": np.add,
    "Clip": _clip,
    "Div": np.divide,
    "Erf": _erf,
    "Exp": np.exp,
    "HardSwish": lambda x: x * np.clip(x / 6.0 + 0.5, 0.0, 1.0),
    "Identity": lambda x: x,
    "Mul": np.multiply,
    "Neg": np.negative,
    "Pow": np.power,
    "Relu": lambda x: np.maximum(x, 0.0),
    "Sigmoid": _sigmoid,
    "Softplus": lambda x: np.logaddexp(0.0, x),
    "Sqrt": np.sqrt,
    "Sub": np.subtract,
    "Tanh": np.tanh,
}
_WITH_ATTRIBUTES: Mapping[str, Callable[[Any], Callable[..., Any]]] = {
    "Elu": _elu,
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "LeakyRelu": _leaky,
    "Swish": _swish,
}
