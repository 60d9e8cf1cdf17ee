"""Kinds of operators that rules treat alike."""

from __future__ import annotations

import onnx_ir as ir

UNARY_ELEMENTWISE = (
    "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BitwiseNot", "Cast", "Ceil",
    "Celu", "Cos", "Cosh", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish",
    "IsInf", "IsNaN", "LeakyRelu", "Log", "Mish", "Neg", "Not", "Reciprocal", "Relu", "Round",
    "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Tan",
    "Tanh", "ThresholdedRelu",
)  # fmt: skip
"""One data input, no other; each element of the result depends on the same element of the input."""

BINARY_ELEMENTWISE = (
    "Add", "Sub", "Mul", "Div", "Pow", "Mod", "And", "Or", "Xor", "Equal", "Greater",
    "GreaterOrEqual", "Less", "LessOrEqual", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitShift",
)  # fmt: skip
"""Two inputs that broadcast both ways."""

SAME_SHAPE_AS_FIRST = (
    *UNARY_ELEMENTWISE,
    "Clip", "CumSum", "Hardmax", "Identity", "InstanceNormalization", "LayerNormalization",
    "LogSoftmax", "LpNormalization", "RMSNormalization", "Softmax",
)  # fmt: skip
"""The first output has the shape of the first input, whatever the others are."""

FLOATS = frozenset(
    {ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.FLOAT, ir.DataType.DOUBLE}
)
SIGNED = frozenset({ir.DataType.INT8, ir.DataType.INT16, ir.DataType.INT32, ir.DataType.INT64})
UNSIGNED = frozenset(
    {ir.DataType.UINT8, ir.DataType.UINT16, ir.DataType.UINT32, ir.DataType.UINT64}
)
INTEGERS = SIGNED | UNSIGNED
