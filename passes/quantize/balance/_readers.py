"""The products with constant matrices that read one value, and all of its readers at that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from onnxopt.analysis.facts import Facts
from onnxopt.pipeline.base import Array, Context
from onnxopt.rewrite.scopes import owner
from onnxopt.rewrite.uses import use_count

from ...fuse._channels import dims, scaled
from ._layers import FLOAT, STANDARD
from ._scaling import replace_constant


@dataclass(frozen=True)
class Product:
    """A product of a value with a constant matrix.

    Attributes:
        node: A ``MatMul`` or ``Gemm``.
        transposed: Whether the matrix is stored [outputs, inputs].
    """

    node: ir.Node
    transposed: bool

    def tensor(self, facts: Facts) -> ir.TensorProtocol:
        """The matrix as it is stored now."""
        tensor = facts.const_tensor(self.node.inputs[1])
        assert tensor is not None
        return tensor

    def matrix(self, facts: Facts) -> Array:
        """The matrix [inputs, outputs]; may be a view."""
        numbers = np.asarray(self.tensor(facts).numpy())
        return numbers.T if self.transposed else numbers

    def inputs(self, facts: Facts) -> int:
        """The number of channels it reads."""
        return dims(self.tensor(facts))[1 if self.transposed else 0]

    def multiply(self, context: Context, rule: str, factor: Array) -> None:
        """Multiplies the rows of the matrix.

        Args:
            context: The model and the services.
            rule: Who does it.
            factor: float64 [inputs].
        """
        tensor = self.tensor(context.facts)
        by_row = factor.reshape((1, -1) if self.transposed else (-1, 1))
        replace_constant(
            context, rule, self.node, 1, "weight", dims(tensor), lambda: scaled(tensor, by_row)
        )


def is_candidate(facts: Facts, node: ir.Node) -> bool:
    """Whether a node is a product of something with a constant."""
    if node.op_type not in ("MatMul", "Gemm") or node.domain not in STANDARD:
        return False
    return facts.const_tensor(node.inputs[1]) is not None and (
        facts.const_tensor(node.inputs[0]) is None
    )


def products_of(facts: Facts, value: ir.Value, graph: ir.Graph) -> list[Product] | str:
    """The products that read a value, or why it cannot be scaled."""
    if value.is_graph_output():
        return "what it reads is an output of the graph"
    found = []
    for node, index in value.uses():
        if owner(node) is not graph or index or not is_candidate(facts, node):
            return f"{node.op_type} reads what it reads, too"
        if node.op_type == "Gemm" and node.attributes.get_int("transA", False):
            return "its operand is transposed"
        weight, tensor = node.inputs[1], facts.const_tensor(node.inputs[1])
        if tensor is None or len(tensor.shape) != 2 or tensor.dtype != FLOAT:
            return "its weights are not a float32 matrix"
        if weight is None or use_count(weight) != 1:
            return "its weights are read elsewhere, too"
        transposed = node.op_type == "Gemm" and bool(node.attributes.get_int("transB", False))
        found.append(Product(node, transposed))
    if len({product.inputs(facts) for product in found}) != 1:
        return "its weights do not fit what they read"
    return found
