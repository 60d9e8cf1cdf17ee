"""Which operators compute in integers, and which only carry what they are given.

Names are those in the graphs that onnxruntime saves (seen with 1.32; operators of ``com.microsoft`` are listed in its
ContribOperators.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir as ir

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
CONVERSIONS = frozenset({QUANTIZE, DEQUANTIZE, "DynamicQuantizeLinear"})

_CARRIERS_NAMES = """Concat DepthToSpace Expand Flatten Gather GatherElements GatherND Identity MaxPool NhwcMaxPool Pad Reshape
    Resize Slice SpaceToDepth Split Squeeze Tile Transpose Unsqueeze Upsample"""
CARRIERS = frozenset(_CARRIERS_NAMES.split())
"""Operators whose result is of the type of their first operand, whichever that is."""

_INTEGER_NAMES = """ConvInteger DynamicQuantizeMatMul GatherBlockQuantized MatMulBnb4 MatMulInteger MatMulInteger16
    MatMulIntegerToFloat MatMulNBits QAttention QEmbedLayerNormalization QGemm QMoE QOrderedAttention
    QOrderedGelu QOrderedLayerNormalization QOrderedLongformerAttention QOrderedMatMul DynamicQuantizeLSTM"""
_INTEGER = frozenset(_INTEGER_NAMES.split())

# What the CPU provider makes of an operator between DequantizeLinear and QuantizeLinear.
_FUSIBLE_NAMES = """Add ArgMax AveragePool Conv Gemm GlobalAveragePool LeakyRelu MatMul Mul Sigmoid Softmax Where
        EmbedLayerNormalization Attention"""
_FUSIBLE = frozenset(_FUSIBLE_NAMES.split()) | CARRIERS


def is_integer(node: ir.Node) -> bool:
    """Whether an operator computes in integers by its very definition."""
    return node.op_type.startswith("QLinear") or node.op_type in _INTEGER


def refusal(op_type: str, provider: str) -> str:
    """Why a provider cannot compute an operator in integers, '' where it can."""
    if provider != "CPUExecutionProvider":
        return f"{provider} has no integer kernel for {op_type}"
    if op_type in _FUSIBLE or op_type.startswith("QLinear") or op_type in _INTEGER:
        return ""
    return f"the runtime has no integer kernel for {op_type}"
