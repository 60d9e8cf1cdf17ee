"""The kind of work a kernel does, by the name of its operator, contrib and quantised ones included."""

from __future__ import annotations

import re
from functools import cache

MATRIX, NORM, SOFTMAX, ACTIVATION = "matrix", "norm", "softmax", "activation"
ELEMENTWISE, MOVEMENT, OTHER = "elementwise", "movement", "other"
KINDS = (MATRIX, NORM, SOFTMAX, ACTIVATION, ELEMENTWISE, MOVEMENT, OTHER)

# Whatever holds a product or convolution is of that kind, also when more is fused into it. Recurrent
# layers are products in a loop.
_FAMILIES = (
    (
        MATRIX,
        re.compile(r"mat_?mul|gemm(?!a)|conv|attention|einsum|lstm|gru$|rnn$|moe$", re.IGNORECASE),
    ),
    (NORM, re.compile(r"norm(?!al$|allike$)|^LRN$", re.IGNORECASE)),
    (SOFTMAX, re.compile(r"softmax$|^Hardmax$", re.IGNORECASE)),
)
_ACTIVATION = re.compile(
    r"gelu$|relu$|elu$|silu$|swiglu$|sigmoid$|swish$|softplus$|softsign$|mish$|^celu$"
    r"|^(clip|tanh|scaledtanh|erf|shrink)$",
    re.IGNORECASE,
)
_ELEMENTWISE = """
Abs Acos Acosh Add And Asin Asinh Atan Atanh BiasAdd BitShift BitwiseAnd BitwiseNot BitwiseOr
BitwiseXor Cast CastLike Ceil ComplexMul Cos Cosh DequantizeLinear Div Dropout
DynamicQuantizeLinear Equal Exp Floor GatedAdd Greater GreaterOrEqual IsInf IsNaN Less
LessOrEqual Log Max Mean Min Mod Mul MulInteger Neg Not Or Pow QuantizeLinear Reciprocal
RotaryEmbedding Round Scale Sign Sin Sinh Sqrt Sub Sum Tan Where Xor
"""
_MOVEMENT = """
Compress Concat ConstantOfShape DepthToSpace DynamicSlice Expand ExpandDims EyeLike Flatten
Gather GatherElements GatherND Identity MemcpyFromHost MemcpyToHost Pad Range ReorderInput
ReorderOutput Reshape ReverseSequence Scatter ScatterElements ScatterND Shape Size Slice
SpaceToDepth Split Squeeze TensorScatter Tile Transpose Trilu Unsqueeze
"""


@cache
def kind_of(operator: str) -> str:
    """One of :data:`KINDS` for an operator such as ``MatMul``, ``QLinearAdd`` or ``BiasGelu``.

    An operator that a later runtime brings is matched by the family its name speaks of, or is ``other``.
    """
    for kind, pattern in _FAMILIES:
        if pattern.search(operator):
            return kind
    plain = operator.removeprefix("QLinear")
    if _ACTIVATION.search(plain):
        return ACTIVATION
    if plain in _ELEMENTWISE.split():
        return ELEMENTWISE
    return MOVEMENT if plain in _MOVEMENT.split() else OTHER
