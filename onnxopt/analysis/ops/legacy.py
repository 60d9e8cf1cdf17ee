"""Experimental operators of the first opsets, which old files use and onnxruntime still runs."""

from __future__ import annotations

from onnxopt.analysis.context import Context, Unknown, infers
from onnxopt.analysis.ops.common import same_as_input


@infers("Affine", "ImageScaler", "ParametricSoftplus", "Scale", "ScaledTanh")
def infer_same(context: Context) -> None:
    """The output has the type and shape of the input."""
    same_as_input(context)


@infers("Crop")
def infer_crop(context: Context) -> None:
    """An image without its borders, or of a given height and width from the left upper border on."""
    context.output(0, context.dtype(0))
    batch, channels, height, width = context.known_shape(0)
    border, scale = context.integers("border"), context.integers("scale")
    if scale is not None and len(scale) == 2:
        context.out.shape = (batch, channels, *scale)
    elif border is not None and len(border) == 4:
        left, top, right, bottom = border
        context.out.shape = (batch, channels, height - top - bottom, width - left - right)
    else:
        raise Unknown
