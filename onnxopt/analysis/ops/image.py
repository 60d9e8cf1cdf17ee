"""Operators on images: Resize, Upsample, and the moves between depth and space."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from onnxopt.analysis.context import Context, Unknown, infers, unknown_shape
from onnxopt.analysis.dims import Dim, floor_divide, fresh
from onnxopt.analysis.ops.common import axes_of, volume_ratio

_EXACT_FLOATS = 1 << 24
"""Integers up to here are exact in float32, in which runtimes compute sizes from scales."""


@infers("Resize")
def infer_resize(context: Context) -> None:
    """Dimensions as given by ``sizes``, or multiplied by ``scales`` and rounded down."""
    context.output(0, context.dtype(0))
    shape = context.known_shape(0)
    context.out.shape = unknown_shape(len(shape))
    if context.version < 11:
        context.out.shape = _scaled(shape, range(len(shape)), _scales(context, 1))
        return
    axes: Sequence[int] = context.integers("axes") or range(len(shape))
    axes = axes_of(axes, len(shape))
    if context.has(3):
        context.out.shape = _sized(context, shape, axes)
        return
    if context.string("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize":
        raise Unknown
    context.out.shape = _scaled(shape, axes, _scales(context, 2))


@infers("Upsample")
def infer_upsample(context: Context) -> None:
    """Dimensions multiplied by scales and rounded down."""
    context.output(0, context.dtype(0))
    shape = context.known_shape(0)
    context.out.shape = unknown_shape(len(shape))
    if context.version >= 9:
        scales = _scales(context, 1)
    else:
        scales = context.attribute("scales")
        if scales is None:
            raise Unknown
    context.out.shape = _scaled(shape, range(len(shape)), scales)


def _scales(context: Context, index: int) -> Sequence[float]:
    array = context.facts.const(context.value(index), max_bytes=1024)
    if array is None:
        raise Unknown
    return [float(item) for item in array.reshape(-1)]


def _scaled(
    shape: tuple[Dim, ...], axes: Sequence[int], scales: Sequence[float]
) -> tuple[Dim, ...]:
    if len(axes) != len(scales):
        raise Unknown
    result = list(shape)
    for axis, scale in zip(axes, scales, strict=True):
        result[axis] = _scale(result[axis], scale)
    return tuple(result)


def _scale(dim: Dim, scale: float) -> Dim:
    if scale == int(scale):
        return dim * int(scale)
    if isinstance(dim, int):
        single = int(np.floor(np.float32(dim) * np.float32(scale)))
        return single if dim < _EXACT_FLOATS and single == int(np.floor(dim * scale)) else fresh()
    inverse = 1 / scale
    # The reciprocal of a power of two multiplies without rounding.
    if inverse == int(inverse) and int(inverse).bit_count() == 1:
        return floor_divide(dim, int(inverse))
    return fresh()


def _sized(context: Context, shape: tuple[Dim, ...], axes: Sequence[int]) -> tuple[Dim, ...]:
    if context.string("keep_aspect_ratio_policy", "stretch") != "stretch":
        return tuple(fresh() if axis in axes else dim for axis, dim in enumerate(shape))
    sizes = context.elements(3)
    if len(sizes) != len(axes):
        raise Unknown
    result = list(shape)
    for axis, size in zip(axes, sizes, strict=True):
        result[axis] = size
    return tuple(result)


@infers("DepthToSpace")
def infer_depth_to_space(context: Context) -> None:
    """Blocks of channels become blocks of pixels."""
    context.output(0, context.dtype(0))
    batch, channels, height, width = context.known_shape(0)
    block = context.integer("blocksize", 1)
    context.out.shape = (
        batch,
        volume_ratio((channels,), (block * block,)),
        height * block,
        width * block,
    )


@infers("SpaceToDepth")
def infer_space_to_depth(context: Context) -> None:
    """Blocks of pixels become blocks of channels."""
    context.output(0, context.dtype(0))
    batch, channels, height, width = context.known_shape(0)
    block = context.integer("blocksize", 1)
    context.out.shape = (
        batch,
        channels * (block * block),
        volume_ratio((height,), (block,)),
        volume_ratio((width,), (block,)),
    )
