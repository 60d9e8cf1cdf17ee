"""Activations that fused operators apply to their result, with their parameters as numbers."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from onnxopt.rewrite import Declined, Match

from .._forms import input_of

ACTIVATIONS = (
    *("Clip", "Elu", "HardSigmoid", "HardSwish", "LeakyRelu", "Relu", "Sigmoid", "Softplus"),
    *("Softsign", "Tanh", "ThresholdedRelu"),
)
"""Those that any target may name."""

_ATTRIBUTES = {
    "Elu": {"alpha": 1.0},
    "HardSigmoid": {"alpha": 0.2, "beta": 0.5},
    "LeakyRelu": {"alpha": 0.01},
    "ThresholdedRelu": {"alpha": 1.0},
}
_LARGEST = float(np.finfo(np.float32).max)


def require_epilogue(m: Match, op_type: str, epilogue: str) -> None:
    """Declines unless the target's operator can apply something to its result.

    Raises:
        Declined: It cannot.
    """
    if epilogue not in m.target.epilogues.get(op_type, frozenset()):
        raise Declined(f"target {m.target.name} has no {op_type} with {epilogue}")


def parameters(m: Match, node: ir.Node) -> tuple[float, ...]:
    """Reads the parameters of an activation, in the order in which fused operators take them.

    Raises:
        Declined: One is not known.
    """
    if node.op_type == "Clip":
        return _bounds(m, node)
    if node.op_type == "HardSwish":
        return (1.0 / 6.0, 0.5)
    wanted = _ATTRIBUTES.get(node.op_type, {})
    return tuple(float(m.attr(node, name, default)) for name, default in wanted.items())


def _bounds(m: Match, node: ir.Node) -> tuple[float, float]:
    """Reads the bounds of ``Clip``: attributes up to opset 10, inputs afterwards."""
    if m.opset(node) < 11:
        low, high = m.attr(node, "min", -_LARGEST), m.attr(node, "max", _LARGEST)
        return float(low), float(high)
    found = []
    for index, absent in ((1, -_LARGEST), (2, _LARGEST)):
        given = input_of(node, index)
        if given is None:
            found.append(absent)
            continue
        array = m.const(given)
        if array.size != 1:
            raise Declined("a bound is not one number")
        found.append(float(array.reshape(-1)[0]))
    return found[0], found[1]
