"""Convolutions that mix channels and nothing else: a matrix at every place of an image."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from onnxopt.analysis.facts import Facts

_FLOATS = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE)


@dataclass(frozen=True)
class Pointwise:
    """A ``Conv`` whose kernel has one element.

    Attributes:
        node: The ``Conv``.
        weight: Its weight, [outputs, inputs, 1, …].
        bias: Its bias; None where it has none.
        outputs: The number of output channels.
        inputs: The number of input channels.
        rank: The rank of what it reads.
    """

    node: ir.Node
    weight: ir.TensorProtocol
    bias: ir.Value | None
    outputs: int
    inputs: int
    rank: int

    @property
    def data(self) -> ir.Value:
        """What it reads."""
        value = self.node.inputs[0]
        assert value is not None
        return value


def pointwise(facts: Facts, node: ir.Node) -> Pointwise | None:
    """Reads a ``Conv`` of constant weights whose kernel has one element, without strides, padding or groups.

    Args:
        facts: Constants.
        node: Any node.
    """
    if node.op_type != "Conv" or node.domain not in ("", "ai.onnx") or node.inputs[0] is None:
        return None
    weight = facts.const_tensor(node.inputs[1])
    if weight is None or weight.dtype not in _FLOATS:
        return None
    shape = tuple(int(d) for d in weight.shape.numpy())
    if len(shape) < 3 or any(d != 1 for d in shape[2:]):
        return None
    attributes = node.attributes
    plain = (
        attributes.get_int("group", 1) == 1
        and all(s == 1 for s in attributes.get_ints("strides", ()))
        and not any(attributes.get_ints("pads", ()))
    )
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    return Pointwise(node, weight, bias, shape[0], shape[1], len(shape)) if plain else None
