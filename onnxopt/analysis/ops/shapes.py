"""Operators that make tensors from shapes and shapes from tensors: Shape, Size, Range, ConstantOfShape, Constant."""

from __future__ import annotations

import math

import onnx_ir as ir

from onnxopt.analysis.constants import constant_node_tensor, content_of
from onnxopt.analysis.context import (
    MAX_CONTENT,
    Context,
    Unknown,
    infers,
    unknown_shape,
)
from onnxopt.analysis.dims import Dim, DimExpr, floor_divide, fresh, maximum, product
from onnxopt.analysis.ops.common import FLOAT, INT64, dtype_attribute, representable


@infers("Constant")
def infer_constant(context: Context) -> None:
    """The tensor the node holds."""
    tensor = constant_node_tensor(context.node)
    if tensor is None:
        raise Unknown
    context.output(0, tensor.dtype, tuple(tensor.shape.numpy()))


@infers("Shape")
def infer_shape(context: Context) -> None:
    """The dimensions from ``start`` to ``end``."""
    context.output(0, INT64, unknown_shape(1))
    shape = context.known_shape(0)
    picked = shape[
        _clamp(context.integer("start", 0), shape) : _clamp(
            context.integer("end", len(shape)), shape
        )
    ]
    context.out.shape = (len(picked),)
    if len(picked) <= MAX_CONTENT:
        context.out.content = picked
        context.facts.add_counts(picked)


def _clamp(axis: int, shape: tuple[Dim, ...]) -> int:
    return max(0, axis + len(shape)) if axis < 0 else min(axis, len(shape))


@infers("Size")
def infer_size(context: Context) -> None:
    """The number of elements."""
    context.output(0, INT64, ())
    context.out.content = product(context.known_shape(0))


@infers("ConstantOfShape")
def infer_constant_of_shape(context: Context) -> None:
    """One value in all elements of a shape, 0.0 when none is given."""
    value = context.attribute("value")
    dtype = FLOAT if value is None else value.dtype
    context.output(0, dtype)
    shape = context.elements(0)
    context.out.shape = shape
    if value is None or len(shape) > 1:
        return
    filling = content_of(value)
    item = filling[0] if isinstance(filling, tuple) and len(filling) == 1 else filling
    if item is None or isinstance(item, tuple):
        return
    if not shape:
        context.out.content = item
    elif isinstance(shape[0], int) and shape[0] <= MAX_CONTENT:
        context.out.content = (item,) * shape[0]


@infers("Range")
def infer_range(context: Context) -> None:
    """``start``, ``start + delta``, … before ``limit``."""
    dtype = context.dtype(0) or context.dtype(1) or context.dtype(2)
    context.output(0, dtype, unknown_shape(1))
    start, limit, delta = (_scalar(context, index) for index in range(3))
    if not isinstance(delta, int) or delta == 0:
        raise Unknown
    span = limit - start if delta > 0 else start - limit
    step = abs(delta)
    count = floor_divide(maximum(span, 0) + (step - 1), step)
    context.out.shape = (count,)
    if isinstance(count, int) and count <= MAX_CONTENT:
        items = tuple(start + index * delta for index in range(count))
        context.set_cells(representable(items, dtype))


def _scalar(context: Context, index: int) -> Dim:
    """An input of one element as an integer, also when it is a float that holds one."""
    value = context.value(index)
    content = context.facts.elements(value)
    if isinstance(content, tuple):
        content = content[0] if len(content) == 1 else None
    if content is not None:
        return content
    array = context.facts.const(value, max_bytes=64)
    if array is None or array.size != 1:
        raise Unknown
    number = float(array.reshape(())[()])
    if not math.isfinite(number) or number != int(number) or abs(number) > 1 << 24:
        raise Unknown
    return int(number)


@infers("EyeLike")
def infer_eye_like(context: Context) -> None:
    """A matrix of the input's shape."""
    context.output(0, dtype_attribute(context, "dtype", context.dtype(0)), context.shape(0))


@infers("RandomNormal", "RandomUniform")
def infer_random(context: Context) -> None:
    """Random numbers in the shape of an attribute."""
    context.output(0, dtype_attribute(context, "dtype", FLOAT), context.integers("shape"))


@infers("RandomNormalLike", "RandomUniformLike", "Bernoulli")
def infer_random_like(context: Context) -> None:
    """Random numbers in the shape of the input."""
    context.output(0, dtype_attribute(context, "dtype", context.dtype(0)), context.shape(0))


@infers("Multinomial")
def infer_multinomial(context: Context) -> None:
    """Samples, a row for each distribution."""
    dtype = dtype_attribute(context, "dtype", ir.DataType.INT32)
    context.output(0, dtype, unknown_shape(2))
    context.out.shape = (context.known_shape(0)[0], context.integer("sample_size", 1))


@infers("HannWindow", "HammingWindow", "BlackmanWindow")
def infer_window(context: Context) -> None:
    """A window function over a number of samples."""
    content = context.facts.elements(context.value(0))
    size = fresh() if not isinstance(content, int | DimExpr) else content
    context.output(0, dtype_attribute(context, "output_datatype", FLOAT), (size,))


@infers("STFT")
def infer_stft(context: Context) -> None:
    """Spectra of overlapping frames: real and imaginary parts along the last axis."""
    context.output(0, context.dtype(0), unknown_shape(4))
    signal = context.known_shape(0)
    batch, length = signal[0], signal[1]
    frame: Dim = fresh()
    if context.has(3):
        frame = _scalar(context, 3)
    elif context.has(2):
        frame = context.known_shape(2)[0]
    bins = floor_divide(frame, 2) + 1 if context.integer("onesided", 1) else frame
    context.out.shape = (batch, fresh(), bins, 2)
    step = _scalar(context, 1)
    context.out.shape = (batch, floor_divide(length - frame, step) + 1, bins, 2)
