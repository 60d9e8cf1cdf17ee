"""Multiplies a convolution of one element into the product that makes its channels.

Over places in rows, ``x V + c`` gives channels that are then turned into an image; ``W (x V + c)^T + b = (x V W^T + c W^T + b)^T``. So is
what decoders of segmentation networks spell as a linear layer and, after ``move-conv-before-resize``, a convolution right behind it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from onnxopt.pipeline.base import Array
from onnxopt.rewrite import Builder, Const, Match, Op, Pattern, Skip, Var, op, rule

from .._forms import perm_of, reshape_target
from ._pointwise import pointwise

_PRODUCT = op.MatMul(Var("x"), Const("v"), bind="product")
_PANEL = 1 << 16


def _image(rows: Pattern) -> Op:
    places = op.Transpose(rows, bind="transpose")
    image = op.Reshape(places, Var("target"), bind="image")
    return op.Conv(image, Const("w"), Const("b", optional=True), bind="conv")


@rule(_image(op.Add(_PRODUCT, Const("c"))), _image(_PRODUCT))
def merge_conv_into_matmul(m: Match, build: Builder) -> ir.Value | Skip:
    """Multiply the weights of a ``MatMul`` and of the 1 x 1 ``Conv`` that reads its result as an image.

    Declines where the product takes more work than both do, for half precision (whose range the product may leave), where the
    ``Reshape`` does more than to spread places, and where its shape would have to be computed anew.

    Example: Conv(Reshape(Transpose(Add(MatMul(x, v), c))), w, b) -> Reshape(Transpose(Add(MatMul(x, v w^T), c w^T + b)))
    """
    conv = pointwise(m.facts, m.node("conv"))
    if conv is None or conv.weight.dtype not in (ir.DataType.FLOAT, ir.DataType.DOUBLE):
        return Skip("the convolution does more than to mix channels in single precision")
    before, image = m.shape(m.node("transpose").outputs[0]), m.shape(conv.data)
    if perm_of(m, m.node("transpose")) != [0, 2, 1] or image[:2] != before[:2]:
        return Skip("what is between the two does more than to turn places into an image")
    matrix = m.static_shape("v")
    if len(matrix) != 2 or matrix[1] != conv.inputs:
        return Skip("the product is not with one matrix")
    rows, middle, columns = matrix[0], conv.inputs, conv.outputs
    if rows * columns > rows * middle + middle * columns:
        return Skip("one product would be more work than both")
    target = m.value("target")
    if middle != columns:
        spelt = reshape_target((*before[:1], columns, *before[2:]), (image[0], columns, *image[2:]))
        if spelt is None:
            return Skip("the shape of the image is not known")
        target = build.ints("shape", spelt)
    bias = _bias(m, _matrix(conv.weight.numpy()), columns)
    if isinstance(bias, Skip):
        return bias
    weight = build.lazy("weight", conv.weight.dtype, (rows, columns), _product(m, conv.weight))
    result = build.like(m.node("product"), m.value("x"), weight)
    if bias is not None:
        result = build.op("Add", result, build.const("bias", bias, conv.weight.dtype))
    turned = build.like(m.node("transpose"), result)
    if middle == columns:
        return build.like(m.node("image"), turned, target)
    return build.op("Reshape", turned, target)


def _matrix(weight: Array) -> Array:
    return weight.reshape(weight.shape[:2])


def _product(m: Match, kernel: ir.TensorProtocol) -> Callable[[], Array]:
    matrix = m.tensor("v")

    def compute() -> Array:
        left, right = matrix.numpy(), _matrix(kernel.numpy()).T.astype(np.float64)
        made = np.empty((left.shape[0], right.shape[1]), left.dtype)
        step = max(1, _PANEL // max(right.shape[0], 1))
        for at in range(0, left.shape[0], step):
            made[at : at + step] = left[at : at + step].astype(np.float64) @ right
        return made

    return compute


def _bias(m: Match, matrix: Array, columns: int) -> Array | Skip | None:
    """What is added after the product, float64 [columns]; None where nothing is."""
    total = None
    if m.has("c"):
        inner = m.const("c")
        if inner.ndim > 1 or inner.size not in (1, matrix.shape[1]):
            return Skip("what is added to the product is not one number a channel")
        total = matrix.astype(np.float64) @ np.broadcast_to(inner.reshape(-1), matrix.shape[1:])
    if m.has("b"):
        outer = m.const("b").astype(np.float64)
        if outer.shape != (columns,):
            return Skip("the convolution's bias does not match its channels")
        total = outer if total is None else total + outer
    return total
