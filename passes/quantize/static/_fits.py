"""Forms of an operator that no integer kernel takes, though it takes the operator: these are better left as they are.

What stays in float between quantised values is slower than before, and rounded for nothing.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from onnxopt.analysis.facts import Facts
from onnxopt.quantization.table import Weighted

from ._scales import limits_of


def misfit(facts: Facts, node: ir.Node, form: Weighted | None) -> str:
    """Why a node would stay in float, or ''.

    Args:
        facts: Types, shapes and constants.
        node: An operator that the target computes in integers.
        form: Where its weights are; None where it has none.
    """
    if form is not None:
        return _misfit_of_bias(facts, node, form)
    if not loads(node):
        return "its integer kernel knows no dilations"
    if node.op_type == "MaxPool" and len(node.outputs) > 1:
        return "it gives indices, too"
    if any(_endless(facts, value) for value in node.inputs):
        return "a constant that it reads is not finite"
    return ""


def loads(node: ir.Node) -> bool:
    """Whether a model loads that has the node between quantised values.

    onnxruntime makes an integer kernel of an AveragePool there, be it meant or not, and copies attributes that it lacks.
    """
    dilations = node.attributes.get_ints("dilations", ()) if node.op_type == "AveragePool" else ()
    return all(d == 1 for d in dilations)


def absorbs(facts: Facts, node: ir.Node) -> bool:
    """Whether the limits of a Relu or Clip can be those of stored values, of which one stands for 0."""
    if any(v is not None and facts.const_tensor(v) is None for v in node.inputs[1:]):
        return False
    low, high = limits_of(facts, node)
    return low <= 0.0 <= high and low < high


def vector(facts: Facts, value: ir.Value | None, length: int) -> np.ndarray | None:
    """A constant bias as float32 [length], or None where it is another for each row.

    Args:
        facts: Constants.
        value: Of a shape that broadcasts to [rows, length].
        length: How many channels there are.
    """
    tensor = facts.const_tensor(value)
    if tensor is None:
        return None
    shape = tuple(int(d) for d in tensor.shape.numpy())
    if any(d != 1 for d in shape[:-1]) or shape[-1:] not in ((), (1,), (length,)):
        return None
    return np.broadcast_to(np.asarray(tensor.numpy(), np.float32).reshape(-1), (length,))


def channels_of(node: ir.Node, shape: tuple[int, ...]) -> int:
    """How many channels a weighted operator's result has, from the shape of its weights."""
    first = node.op_type == "Conv" or node.attributes.get_int("transB", False)
    return shape[0 if first else -1]


def _misfit_of_bias(facts: Facts, node: ir.Node, form: Weighted) -> str:
    value = (
        node.inputs[form.bias] if form.bias is not None and form.bias < len(node.inputs) else None
    )
    if value is None:
        return ""
    if facts.const_tensor(value) is None:
        return "its bias is not constant"
    tensor = facts.const_tensor(node.inputs[form.weight])
    shape = () if tensor is None else tuple(int(d) for d in tensor.shape.numpy())
    bias = vector(facts, value, channels_of(node, shape))
    if bias is None:
        return "its bias is not one number a channel"
    return "" if np.isfinite(bias).all() else "its bias is not finite"


def _endless(facts: Facts, value: ir.Value | None) -> bool:
    tensor = facts.const_tensor(value)
    if tensor is None or not tensor.dtype.is_floating_point():
        return False
    return not np.isfinite(np.asarray(tensor.numpy(), np.float32)).all()
