"""Layers with constant weights whose channels can be scaled: ``Conv`` and ``Gemm``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from onnxopt.analysis.facts import Facts
from onnxopt.pipeline.base import Array, Context
from onnxopt.quantization.equalization import LayerWeights, magnitudes, rescaled
from onnxopt.rewrite.uses import use_count

from ._scaling import replace_constant

FLOAT = ir.DataType.FLOAT
KINDS = frozenset({"Conv", "Gemm"})
STANDARD = frozenset({"", "ai.onnx"})


@dataclass(frozen=True)
class Layer:
    """A layer that can be scaled.

    Attributes:
        node: The node.
        weight: Its weights.
        groups: The number of groups.
        outputs: The number of output channels.
        inputs: The number of input channels.
        across: Whether weights are stored [inputs, outputs].
        bias: float32 [outputs], if there is a bias.
        obstacle: Why its output channels cannot be scaled, or ''.
    """

    node: ir.Node
    weight: ir.TensorProtocol
    groups: int
    outputs: int
    inputs: int
    across: bool
    bias: Array | None
    obstacle: str

    def ranges(self, spread: int) -> LayerWeights:
        """The magnitudes of its weights, where so many inputs belong to one channel of the layer before."""
        return LayerWeights(magnitudes(self._matrix(), self.groups), spread)

    def scale(self, context: Context, rule: str, after: Array | None, before: Array | None) -> None:
        """Scales its channels.

        Args:
            context: The model and the services.
            rule: Who does it.
            after: What output channels are multiplied by, [outputs].
            before: What the input channels were multiplied by, [inputs].
        """
        shape = tuple(int(d) for d in self.weight.shape.numpy())
        replace_constant(
            context, rule, self.node, 1, "weight", shape, lambda: self._scaled(after, before)
        )
        if after is not None and self.bias is not None:
            bias = self.bias.astype(np.float64) * after
            replace_constant(context, rule, self.node, 2, "bias", bias.shape, lambda: bias)

    def _scaled(self, after: Array | None, before: Array | None) -> Array:
        found = rescaled(self._matrix(), self.groups, after, before)
        return found.T if self.across else found

    def _matrix(self) -> Array:
        weight = np.asarray(self.weight.numpy())
        return weight.T if self.across else weight


def read_layer(facts: Facts, node: ir.Node) -> Layer | str:
    """Reads a ``Conv`` or ``Gemm``, or says why it cannot be scaled."""
    weight = node.inputs[1]
    tensor = facts.const_tensor(weight)
    if weight is None or tensor is None:
        return "its weights are not constant"
    if tensor.dtype != FLOAT:
        return "its weights are not float32"
    if use_count(weight) != 1:
        return "its weights are read elsewhere, too"
    shape = tuple(int(d) for d in tensor.shape.numpy())
    if 0 in shape:
        return "it has no weights"
    if node.op_type == "Gemm":
        return _gemm(facts, node, tensor, shape)
    groups = node.attributes.get_int("group", 1)
    if len(shape) < 3 or groups < 1 or shape[0] % groups:
        return "its weights or groups are malformed"
    bias, obstacle = _bias(facts, node, shape[0])
    return Layer(node, tensor, groups, shape[0], shape[1] * groups, False, bias, obstacle)


def _gemm(
    facts: Facts, node: ir.Node, tensor: ir.TensorProtocol, shape: tuple[int, ...]
) -> Layer | str:
    if node.attributes.get_int("transA", 0):
        return "its operand is transposed"
    if len(shape) != 2:
        return "its weights are not a matrix"
    across = not node.attributes.get_int("transB", 0)
    inputs, outputs = shape if across else shape[::-1]
    bias, obstacle = _bias(facts, node, outputs)
    return Layer(node, tensor, 1, outputs, inputs, across, bias, obstacle)


def _bias(facts: Facts, node: ir.Node, outputs: int) -> tuple[Array | None, str]:
    value = node.inputs[2] if len(node.inputs) > 2 else None
    if value is None:
        return None, ""
    numbers = facts.const(value)
    if numbers is None:
        return None, "its bias is not constant"
    if numbers.dtype != np.float32 or numbers.size not in (1, outputs):
        return None, "its bias is not one number a channel"
    if numbers.size > 1 and numbers.shape[-1] != outputs:
        return None, "its bias is not one number a channel"
    return np.broadcast_to(numbers.reshape(-1), (outputs,)), ""
