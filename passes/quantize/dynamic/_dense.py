"""Products with a constant matrix, ``MatMul`` and ``Gemm`` alike: what they multiply, add and scale.

Whether one can be computed in integers is decided here, apart from what becomes of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from onnxopt.analysis.facts import Facts

SINGLE = ir.DataType.FLOAT
_MOVES = frozenset(
    {
        "Concat",
        "Expand",
        "Flatten",
        "Gather",
        "Identity",
        "Reshape",
        "Slice",
        "Split",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    }
)
_FAR = 8


@dataclass(frozen=True)
class Dense:
    """A product ``factor * x @ matrix + bias_factor * bias``.

    Attributes:
        node: The ``MatMul`` or ``Gemm``.
        x: What is multiplied, float32 [..., inner].
        weight: The constant, float32 [inner, columns], or [columns, inner] where ``transposed``.
        tensor: What it holds.
        transposed: Whether the matrix is the transpose of the constant.
        factor: What the product is multiplied with.
        bias: What a ``Gemm`` adds; None for nothing.
        bias_factor: What that is multiplied with.
    """

    node: ir.Node
    x: ir.Value
    weight: ir.Value
    tensor: ir.TensorProtocol
    transposed: bool = False
    factor: float = 1.0
    bias: ir.Value | None = None
    bias_factor: float = 1.0

    @property
    def inner(self) -> int:
        """How many products are summed for each result."""
        return int(self.tensor.shape.numpy()[int(self.transposed)])

    @property
    def columns(self) -> int:
        """How many results there are for each row of ``x``."""
        return int(self.tensor.shape.numpy()[int(not self.transposed)])


def dense(facts: Facts, node: ir.Node) -> Dense | str:
    """Reads a ``MatMul`` or ``Gemm``.

    Args:
        facts: Types, shapes and constants of its operands.
        node: The node.

    Returns:
        The product, or why it is none with a constant matrix in float32.
    """
    x, weight = node.inputs[0], node.inputs[1]
    tensor = facts.const_tensor(weight)
    if x is None or weight is None or tensor is None:
        return _no_weight(facts, x, weight)
    if facts.dtype(x) != SINGLE or tensor.dtype != SINGLE:
        return "it does not compute in float32"
    if len(tensor.shape) != 2:
        return f"the weight has rank {len(tensor.shape)}, and only matrices are quantised"
    if not tensor.size:
        return "the weight has no elements"
    if facts.const_tensor(x) is not None:
        return "both operands are constants"
    if facts.rank(x) in (None, 0, 1):
        return "its first operand is not known to be a matrix, or several"
    if comes_from_integers(facts, x):
        return "its input comes from integers already"
    return (
        Dense(node, x, weight, tensor) if node.op_type == "MatMul" else _gemm(facts, node, tensor)
    )


def _no_weight(facts: Facts, x: ir.Value | None, weight: ir.Value | None) -> str:
    if weight is not None and comes_from_integers(facts, weight):
        return "its weight comes from integers already"
    if facts.const_tensor(x) is not None:
        return "the constant is its first operand"
    return "no operand is a constant"


def _gemm(facts: Facts, node: ir.Node, tensor: ir.TensorProtocol) -> Dense | str:
    x, weight = node.inputs[0], node.inputs[1]
    assert x is not None
    assert weight is not None
    if node.attributes.get_int("transA", 0):
        return "Gemm transposes its first operand"
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    beta = node.attributes.get_float("beta", 1.0)
    if bias is not None and beta != 1.0 and facts.const_tensor(bias) is None:
        return "Gemm scales a summand that is no constant"
    return Dense(
        node,
        x,
        weight,
        tensor,
        bool(node.attributes.get_int("transB", 0)),
        node.attributes.get_float("alpha", 1.0),
        bias,
        beta,
    )


def comes_from_integers(facts: Facts, value: ir.Value) -> bool:
    """Whether a value is read back from integers, apart from being moved about.

    Rounding it again would cost accuracy and gain nothing over leaving it in integers.
    """
    for _ in range(_FAR):
        node = value.producer()
        if node is None or node.domain != "" or not node.inputs:
            return False
        source = node.inputs[0]
        if node.op_type == "DequantizeLinear":
            return True
        if node.op_type == "Cast":
            dtype = facts.dtype(source)
            return dtype is not None and dtype.is_integer()
        if node.op_type not in _MOVES or source is None:
            return False
        value = source
    return False
