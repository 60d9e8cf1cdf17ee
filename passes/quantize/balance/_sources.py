"""Where a value can be divided channel by channel before it is made: in constants of what makes it.

Channels lie on the last axis. ``LayerNormalization`` and ``RMSNormalization`` are divided in scale and bias, products in the
columns of their weights, ``Mul`` in its constant or in one of its operands, ``Add`` in its constant and its operand;
through ``Relu`` and the like positive factors pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from onnxopt.analysis.facts import Facts
from onnxopt.pipeline.base import Context
from onnxopt.rewrite.scopes import owner
from onnxopt.rewrite.uses import has_one_use, use_count

from ...fuse._channels import Array, dims, scaled
from ._layers import FLOAT, STANDARD
from ._scaling import replace_constant

_DEPTH = 6
_NORMS = frozenset({"LayerNormalization", "RMSNormalization"})
_HOMOGENEOUS = frozenset({"Identity", "LeakyRelu", "Relu"})


@dataclass(frozen=True)
class Part:
    """A constant to divide.

    Attributes:
        node: Who reads it.
        index: As which operand.
        tensor: The constant.
        shape: Its shape once divided, with the channels on ``axis``.
        axis: Where the channels are.
    """

    node: ir.Node
    index: int
    tensor: ir.TensorProtocol
    shape: tuple[int, ...]
    axis: int

    def divided(self, factor: Array) -> Array:
        """The constant, divided: float32 of ``shape``.

        Args:
            factor: By what: float64 [channels].
        """
        spread = [1] * len(self.shape)
        spread[self.axis] = -1
        inverse = (1.0 / factor).reshape(spread)
        if tuple(dims(self.tensor)) == self.shape:
            return scaled(self.tensor, inverse)
        numbers = np.broadcast_to(self.tensor.numpy(), self.shape).astype(np.float64)
        return (numbers * inverse).astype(np.float32)

    def divide(self, context: Context, rule: str, factor: Array) -> None:
        """Lets the node read the constant divided as it is now: another value may have scaled its rows since it was found.

        Args:
            context: The model and the services.
            rule: Who does it.
            factor: By what: float64 [channels].
        """
        tensor = context.facts.const_tensor(self.node.inputs[self.index])
        assert tensor is not None
        now = Part(self.node, self.index, tensor, self.shape, self.axis)
        replace_constant(
            context, rule, self.node, self.index, "scale", self.shape, lambda: now.divided(factor)
        )


class Sources:
    """Finds what to divide.

    Args:
        facts: Shapes and constants.
        channels: The number of channels.
        graph: Where all of it must lie.
    """

    def __init__(self, facts: Facts, channels: int, graph: ir.Graph) -> None:
        self._facts = facts
        self._channels = channels
        self._graph = graph

    def of(self, value: ir.Value, depth: int = _DEPTH) -> list[Part] | str:
        """The constants to divide so that a value is divided, or why there are none."""
        node = value.producer()
        if node is None or owner(node) is not self._graph:
            return "nothing in the graph makes what it reads"
        if node.domain not in STANDARD or node.outputs[0] is not value or not depth:
            return f"{node.op_type} before it takes no scales"
        shape = self._facts.shape(value)
        if self._facts.dtype(value) != FLOAT or shape is None or shape[-1:] != (self._channels,):
            return "what it reads is not float32 with channels on its last axis"
        if node.op_type in _NORMS:
            return self._norm(node)
        if node.op_type in ("MatMul", "Gemm"):
            return self._product(node)
        if node.op_type in ("Mul", "Add"):
            return self._arithmetic(node, len(shape), depth)
        if node.op_type in _HOMOGENEOUS:
            return self._inner(node.inputs[0], depth)
        return f"{node.op_type} before it takes no scales"

    def _inner(self, value: ir.Value | None, depth: int) -> list[Part] | str:
        """What to divide for an operand that nothing else may read."""
        if value is None or not has_one_use(value):
            return "what its operand is made of is read elsewhere, too"
        return self.of(value, depth - 1)

    def _norm(self, node: ir.Node) -> list[Part] | str:
        parts = []
        for index in (1, 2):
            value = node.inputs[index] if index < len(node.inputs) else None
            if value is None:
                continue
            tensor = self._facts.const_tensor(value)
            if tensor is None:
                return f"the scale or bias of {node.op_type} is not constant"
            if tuple(dims(tensor)) != (self._channels,) or tensor.dtype != FLOAT:
                return f"{node.op_type} normalises more than the last axis"
            parts.append(Part(node, index, tensor, (self._channels,), 0))
        return parts

    def _product(self, node: ir.Node) -> list[Part] | str:
        weight = node.inputs[1]
        tensor = self._facts.const_tensor(weight)
        if weight is None or tensor is None or len(tensor.shape) != 2 or tensor.dtype != FLOAT:
            return f"the weights of {node.op_type} before it are no constant matrix"
        if use_count(weight) != 1:
            return f"the weights of {node.op_type} before it are read elsewhere, too"
        transposed = node.op_type == "Gemm" and node.attributes.get_int("transB", False)
        parts = [Part(node, 1, tensor, tuple(dims(tensor)), 0 if transposed else 1)]
        bias = node.inputs[2] if len(node.inputs) > 2 else None
        if bias is None:
            return parts
        part = self._vector(node, 2, 2)
        return part if isinstance(part, str) else [*parts, part]

    def _arithmetic(self, node: ir.Node, rank: int, depth: int) -> list[Part] | str:
        constants = [i for i in (0, 1) if self._facts.const_tensor(node.inputs[i]) is not None]
        if not constants:
            return self._varying(node, depth) if node.op_type == "Mul" else self._joined()
        index = constants[0]
        part = self._vector(node, index, rank)
        if isinstance(part, str) or node.op_type == "Mul":
            return part if isinstance(part, str) else [part]
        inner = self._inner(node.inputs[1 - index], depth)
        return inner if isinstance(inner, str) else [*inner, part]

    def _joined(self) -> str:
        return "Add before it joins two values"

    def _varying(self, node: ir.Node, depth: int) -> list[Part] | str:
        """One operand of a product is enough; gates come first in exports, so the second is tried first."""
        found: list[Part] | str = ""
        for value in reversed(node.inputs):
            found = self._inner(value, depth)
            if not isinstance(found, str):
                return found
        return found

    def _vector(self, node: ir.Node, index: int, rank: int) -> Part | str:
        """A constant that has one number, or one for each channel."""
        tensor = self._facts.const_tensor(node.inputs[index])
        if tensor is None:
            return f"an operand of {node.op_type} before it is not constant"
        shape = tuple(dims(tensor))
        vector = not shape or (all(d == 1 for d in shape[:-1]) and len(shape) <= rank)
        if not vector or shape[-1:] not in ((), (1,), (self._channels,)) or tensor.dtype != FLOAT:
            return f"the constant of {node.op_type} before it varies beyond the channels"
        return Part(node, index, tensor, (*shape[:-1], self._channels), max(len(shape) - 1, 0))
