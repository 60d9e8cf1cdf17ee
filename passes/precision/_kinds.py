"""Kinds of operators, by what a shorter type does to them."""

from __future__ import annotations

MOVES = frozenset(
    {
        "Cast", "CastLike", "Compress", "Concat", "ConstantOfShape", "DepthToSpace", "Dropout", "Expand",
        "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "Pad", "Reshape",
        "ReverseSequence", "ScatterElements", "ScatterND", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile",
        "Transpose", "Trilu", "Unsqueeze", "Upsample", "Where",
    }
)  # fmt: skip
"""They compute nothing, so that they may take the type of what is around them."""

HEAVY = frozenset(
    {"Attention", "Conv", "ConvTranspose", "DeformConv", "Einsum", "GRU", "Gemm", "LSTM", "MatMul", "RNN"}
)  # fmt: skip
"""They are what a shorter type is for, and worth conversions around them."""

WIDENS = frozenset(
    {
        "Cosh", "Exp", "Pow", "ReduceL1", "ReduceL2", "ReduceProd", "ReduceSum", "ReduceSumSquare", "Sinh", "Softplus",
    }
)  # fmt: skip
"""Their results may be much larger than their operands; where they stay, so does what reads them."""

NARROWS = frozenset(
    {
        "Clip", "Div", "Erf", "LayerNormalization", "Log", "LogSoftmax", "RMSNormalization", "Reciprocal", "Sigmoid",
        "Softmax", "Sqrt", "Tanh",
    }
)  # fmt: skip
"""They bring large numbers back to usual ones."""

CONTROL = frozenset({"If", "Loop", "Scan", "SequenceMap"})
