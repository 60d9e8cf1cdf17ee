"""Convolutions and pooling: what a sliding window leaves of a spatial dimension."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onnxopt.analysis.context import Context, Shape, Unknown, infers, unknown_shape
from onnxopt.analysis.dims import Dim, floor_divide, fresh
from onnxopt.analysis.ops.common import INT32, INT64


@dataclass(frozen=True)
class Window:
    """How a window slides over the spatial dimensions.

    Attributes:
        kernel: Its size along each.
        strides: Its steps.
        dilations: The distances of its elements.
        pads: What is added at all beginnings, then at all ends.
        same: Whether the padding follows from ``auto_pad`` being ``SAME_UPPER`` or ``SAME_LOWER``.
        ceil: Whether the number of steps is rounded up.
    """

    kernel: Sequence[Dim]
    strides: Sequence[int]
    dilations: Sequence[int]
    pads: Sequence[int]
    same: bool
    ceil: bool = False


def window_of(context: Context, kernel: Sequence[Dim]) -> Window:
    """Reads the window's attributes.

    Raises:
        Unknown: They do not agree in number.
    """
    rank = len(kernel)
    auto_pad = context.string("auto_pad", "NOTSET")
    pads = context.integers("pads") if auto_pad in ("NOTSET", "") else None
    window = Window(
        kernel,
        context.integers("strides") or (1,) * rank,
        context.integers("dilations") or (1,) * rank,
        pads or (0,) * (2 * rank),
        auto_pad.startswith("SAME"),
        context.integer("ceil_mode", 0) == 1,
    )
    if not len(window.strides) == len(window.dilations) == len(window.pads) // 2 == rank:
        raise Unknown
    return window


def slide(spatial: Shape, window: Window) -> Shape:
    """The spatial dimensions of what a window gives."""
    if len(spatial) != len(window.kernel):
        raise Unknown
    return tuple(_steps(dim, axis, window) for axis, dim in enumerate(spatial))


def _steps(dim: Dim, axis: int, window: Window) -> Dim:
    stride = window.strides[axis]
    if window.same:
        return floor_divide(dim + (stride - 1), stride)
    begin, end = window.pads[axis], window.pads[axis + len(window.kernel)]
    extent = window.dilations[axis] * (window.kernel[axis] - 1) + 1
    room = dim + begin + end - extent
    if isinstance(room, int) and room < 0:
        return fresh()
    down = floor_divide(room, stride) + 1
    if not window.ceil or stride == 1:
        return down
    up = floor_divide(room + (stride - 1), stride) + 1
    if up == down:
        return down
    # Whether a window that starts in the end padding counts has changed between versions of the operator.
    if isinstance(up, int) and isinstance(dim, int) and (up - 1) * stride < dim + begin:
        return up
    return fresh()


@infers("Conv")
def infer_conv(context: Context) -> None:
    """A convolution of input 0 with the weights of input 1."""
    context.output(0, context.dtype(0) or context.dtype(1))
    convolve(context, 0, 1)


@infers("ConvInteger")
def infer_conv_integer(context: Context) -> None:
    """A convolution of 8-bit integers, accumulated in 32 bits."""
    context.output(0, INT32)
    convolve(context, 0, 1)


@infers("QLinearConv")
def infer_qlinear_conv(context: Context) -> None:
    """A convolution of quantised tensors; the type is that of the output's zero point."""
    context.output(0, context.dtype(7))
    convolve(context, 0, 3)


@infers("DeformConv")
def infer_deform_conv(context: Context) -> None:
    """A convolution with an offset for each element of the window."""
    context.output(0, context.dtype(0))
    convolve(context, 0, 1)


def convolve(context: Context, data_index: int, weight_index: int) -> None:
    """Sets the output's shape to that of a convolution."""
    data, weight = context.shape(data_index), context.shape(weight_index)
    kernel: Sequence[Dim] | None = context.integers("kernel_shape")
    if data is None:
        if weight is not None:
            context.out.shape = unknown_shape(len(weight))
        return
    context.out.shape = (data[0], fresh(), *unknown_shape(len(data) - 2))
    if kernel is None:
        if weight is None:
            raise Unknown
        kernel = weight[2:]
    channels = fresh() if weight is None else weight[0]
    context.out.shape = (data[0], channels, *context.out.shape[2:])
    context.out.shape = (data[0], channels, *slide(data[2:], window_of(context, kernel)))


@infers("ConvTranspose")
def infer_conv_transpose(context: Context) -> None:
    """The transpose of a convolution, which spreads where that one gathers."""
    context.output(0, context.dtype(0) or context.dtype(1))
    data = context.known_shape(0)
    weight = context.shape(1)
    context.out.shape = (data[0], fresh(), *unknown_shape(len(data) - 2))
    kernel: Sequence[Dim] | None = context.integers("kernel_shape")
    if weight is None:
        raise Unknown
    channels = weight[1] * context.integer("group", 1)
    context.out.shape = (data[0], channels, *context.out.shape[2:])
    window = window_of(context, weight[2:] if kernel is None else kernel)
    context.out.shape = (data[0], channels, *_spread(context, data[2:], window))


def _spread(context: Context, spatial: Shape, window: Window) -> Shape:
    asked = context.integers("output_shape")
    if asked is not None:
        return asked[-len(spatial) :]
    extra = context.integers("output_padding") or (0,) * len(spatial)
    if len(spatial) != len(window.kernel) or len(extra) != len(spatial):
        raise Unknown
    return tuple(_spread_dim(dim, axis, window, extra[axis]) for axis, dim in enumerate(spatial))


def _spread_dim(dim: Dim, axis: int, window: Window, extra: int) -> Dim:
    stride = window.strides[axis]
    extent = window.dilations[axis] * (window.kernel[axis] - 1) + 1
    if window.same:
        # A window shorter than its step leaves gaps that no padding can take away.
        reach = extent + extra
        return dim * stride if isinstance(reach, int) and reach >= stride else fresh()
    begin, end = window.pads[axis], window.pads[axis + len(window.kernel)]
    return stride * (dim - 1) + extra + extent - begin - end


@infers("AveragePool", "MaxPool", "LpPool")
def infer_pool(context: Context) -> None:
    """A window over each channel; MaxPool can also say where it found the greatest."""
    for index, dtype in enumerate((context.dtype(0), INT64)):
        context.output(index, dtype)
    data = context.known_shape(0)
    for fact in context.outs:
        fact.shape = (*data[:2], *unknown_shape(len(data) - 2))
    kernel = context.integers("kernel_shape")
    if kernel is None:
        raise Unknown
    result = (*data[:2], *slide(data[2:], window_of(context, kernel)))
    for fact in context.outs:
        fact.shape = result


@infers("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def infer_global_pool(context: Context) -> None:
    """One number for each channel."""
    context.output(0, context.dtype(0))
    data = context.known_shape(0)
    context.out.shape = (*data[:2], *((1,) * (len(data) - 2)))


@infers("RoiAlign", "MaxRoiPool")
def infer_roi(context: Context) -> None:
    """A small image for each region."""
    context.output(0, context.dtype(0))
    data, rois = context.known_shape(0), context.known_shape(1)
    if context.node.op_type == "MaxRoiPool":
        height, width = context.integers("pooled_shape") or (0, 0)
    else:
        height, width = context.integer("output_height", 1), context.integer("output_width", 1)
    context.out.shape = (rois[0], data[1], height, width)
