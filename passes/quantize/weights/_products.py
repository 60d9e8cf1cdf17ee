"""The matrix products whose weights onnxruntime reads as integers, and why the others are not among them.

Its CPU provider fuses DequantizeLinear with a MatMul, and with a Gemm that is a MatMul with a bias for each
column; the weight must be the right operand, not transposed, and must have no other reader.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from onnxopt.analysis.facts import Facts

TYPES = (ir.DataType.FLOAT, ir.DataType.FLOAT16)


@dataclass(frozen=True)
class Product:
    """A product x @ w of a constant weight.

    Attributes:
        node: A MatMul or Gemm.
        value: The constant that the weight is held by.
        tensor: What it holds: [K, N], or [N, K] where ``transposed``.
        transposed: Whether the node, or a Transpose before it, turns what the constant holds.
    """

    node: ir.Node
    value: ir.Value
    tensor: ir.TensorProtocol
    transposed: bool

    @property
    def dims(self) -> tuple[int, int]:
        """K and N."""
        first, second = (int(dim) for dim in self.tensor.shape.numpy())
        return (second, first) if self.transposed else (first, second)


def find(facts: Facts, node: ir.Node) -> Product | str | None:
    """Finds a product's weight.

    Args:
        facts: What is known of the model.
        node: Any node.

    Returns:
        The product; why its weight cannot be integers; or None where it has no constant weight.
    """
    if node.domain != "" or node.op_type not in ("MatMul", "Gemm") or len(node.inputs) < 2:
        return None
    value, turned = _held(facts, node.inputs[1])
    tensor = facts.const_tensor(value)
    if tensor is None or value is None:
        left = facts.const_tensor(node.inputs[0])
        return None if left is None or len(left.shape) < 2 else "the weight is the left operand"
    if facts.const_tensor(node.inputs[0]) is not None:
        return "both operands are constant"
    if len(tensor.shape) != 2:
        return f"the weight has rank {len(tensor.shape)}; only matrices are read as integers"
    if tensor.dtype not in TYPES:
        return f"the weight is {tensor.dtype}; only float32 and float16 are read as integers"
    if node.op_type == "Gemm":
        turned ^= bool(_int(node, "transB"))
    found = Product(node, value, tensor, turned)
    reason = _unlike_matmul(facts, node, found.dims[1]) if node.op_type == "Gemm" else ""
    if reason:
        return reason
    return found if min(found.dims) else "the weight is empty"


def _held(facts: Facts, value: ir.Value | None) -> tuple[ir.Value | None, bool]:
    """The constant behind a weight, and whether a Transpose stands in between."""
    maker = None if value is None else value.producer()
    if maker is None or maker.domain != "" or maker.op_type != "Transpose":
        return value, False
    perm = maker.attributes.get("perm")
    if perm is not None and (perm.is_ref() or list(perm.as_ints()) != [1, 0]):
        return value, False
    held = maker.inputs[0]
    tensor = facts.const_tensor(held)
    return (held, True) if tensor is not None and len(tensor.shape) == 2 else (value, False)


def _unlike_matmul(facts: Facts, node: ir.Node, width: int) -> str:
    """Why a Gemm is no MatMul with a bias for each column, or ''."""
    if _int(node, "transA"):
        return "Gemm with transA is computed in float"
    for name in ("alpha", "beta"):
        attribute = node.attributes.get(name)
        if attribute is not None and (attribute.is_ref() or attribute.as_float() != 1.0):
            return f"Gemm with another {name} than 1 is computed in float"
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if bias is None:
        return ""
    shape = facts.static_shape(bias)
    if shape is None or len(shape) != 1 or (shape[0] == 1 and width != 1):
        return "Gemm with a bias that is no vector with one entry a column is computed in float"
    return ""


def _int(node: ir.Node, name: str) -> int:
    attribute = node.attributes.get(name)
    return 0 if attribute is None or attribute.is_ref() else attribute.as_int()
