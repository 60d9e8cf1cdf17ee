"""Quantisation: QuantizeLinear, DequantizeLinear and their dynamic form."""

from __future__ import annotations

from onnxopt.analysis.context import Context, infers
from onnxopt.analysis.ops.common import FLOAT, UINT8, dtype_attribute


@infers("QuantizeLinear")
def infer_quantize(context: Context) -> None:
    """The type is the zero point's, else what ``output_dtype`` names, else uint8."""
    dtype = context.dtype(2) if context.has(2) else dtype_attribute(context, "output_dtype", UINT8)
    context.output(0, dtype, context.shape(0))


@infers("DequantizeLinear")
def infer_dequantize(context: Context) -> None:
    """The type is the scale's, unless ``output_dtype`` names another; float32 before opset 19."""
    dtype = FLOAT if context.version < 19 else context.dtype(1)
    context.output(0, dtype_attribute(context, "output_dtype", dtype), context.shape(0))


@infers("DynamicQuantizeLinear")
def infer_dynamic_quantize(context: Context) -> None:
    """The data in uint8, its scale and its zero point."""
    context.output(0, UINT8, context.shape(0))
    context.output(1, FLOAT, ())
    context.output(2, UINT8, ())
