"""Taking the mean error of rounded weights off biases while a plan is carried out.

The float weights are at hand only there. Means come from the calibration of what weighted operators read.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from onnxopt.analysis.facts import Facts
from onnxopt.pipeline.base import Array, Context
from onnxopt.quantization.affine import Affine
from onnxopt.quantization.correction import corrected, mean_error_of_conv, mean_error_of_product
from onnxopt.quantization.statistics import Statistics
from onnxopt.quantization.wants import Wants
from onnxopt.rewrite.uses import has_one_use

from ..balance._scaling import replace_constant
from ._plan import Plan

RULE = "correct-bias"
Means = Mapping[ir.Value, tuple[int, Array]]
"""By what weighted operators read: the axis of its channels, and their means, float64 [channels]."""
_CONVOLVED, _MULTIPLIED = 1, -1


def channel_wants(plan: Plan) -> dict[str, Wants]:
    """What to gather for bias correction, by name; to be joined with what else is wanted by ``|``.

    Of a value that operators read with channels on different axes, those of the first are gathered.
    """
    wants: dict[str, Wants] = {}
    for node, _ in plan.weighted():
        value = node.inputs[0]
        if value is not None and value.name:
            wants.setdefault(value.name, Wants(channels=_axis(node)))
    return wants


def channel_means(plan: Plan, statistics: Statistics) -> Means:
    """Reads the means out of what was gathered; what no sample reached is left out."""
    means: dict[ir.Value, tuple[int, Array]] = {}
    for node, _ in plan.weighted():
        value = node.inputs[0]
        found = None if value is None else statistics.tensors.get(value.name or "")
        if value is None or found is None or found.channels is None or not found.channels.count:
            continue
        means[value] = (found.channels.axis, found.channels.mean)
    return means


def mean_error(
    facts: Facts, node: ir.Node, weight: Array, affine: Affine, means: Means
) -> Array | str:
    """What rounding its weights adds to a node's output channels on average.

    Args:
        facts: Shapes.
        node: A ``Conv``, ``Gemm`` or ``MatMul`` that reads what it read before quantisation.
        weight: float32, as they are.
        affine: How they are stored.
        means: Of what weighted operators read.

    Returns:
        float64 [outputs], or why it is not known.
    """
    value = node.inputs[0]
    found = None if value is None else means.get(value)
    if found is None:
        return "there are no statistics of the channels it reads"
    axis, channels = found
    if axis % max(facts.rank(value) or 0, 2) != _axis(node) % max(facts.rank(value) or 0, 2):
        return "another operator reads the same value with channels on another axis"
    transposed = node.op_type == "Gemm" and bool(node.attributes.get_int("transB", 0))
    if node.op_type == "Conv":
        inputs = weight.shape[1] * node.attributes.get_int("group", 1)
    elif node.op_type in ("Gemm", "MatMul"):
        inputs = weight.shape[1 if transposed else 0]
    else:
        return f"it is not known how {node.op_type} reads its channels"
    if len(channels) != inputs:
        return "the statistics are of another number of channels"
    if node.op_type == "Conv":
        return mean_error_of_conv(weight, affine, channels)
    return mean_error_of_product(weight, affine, channels, transposed=transposed)


def correct_summand(context: Context, node: ir.Node, error: Array) -> str:
    """Takes an error off the constant that is added to a product, for want of a bias.

    Returns:
        Why there is no such constant, or ''.
    """
    product = node.outputs[0]
    if not has_one_use(product):
        return "its result is read more than once, or by nothing that adds a constant"
    reader, index = next(iter(product.uses()))
    if reader.op_type != "Add" or reader.domain or reader.graph is not node.graph:
        return "it has no bias, and nothing adds a constant to its result"
    constant = context.facts.const_tensor(reader.inputs[1 - index])
    if constant is None or constant.dtype != ir.DataType.FLOAT:
        return "it has no bias, and nothing adds a constant to its result"
    shape = tuple(int(d) for d in constant.shape.numpy())
    rank = context.facts.rank(product)
    one_each = all(d == 1 for d in shape[:-1]) and shape[-1:] in ((), (1,), (len(error),))
    if not one_each or rank is None or len(shape) > rank:
        return "the constant that is added to its result varies beyond the channels"
    numbers = np.broadcast_to(np.asarray(constant.numpy()), (*shape[:-1], len(error)))
    fixed = corrected(numbers, error)
    replace_constant(context, RULE, reader, 1 - index, "bias", fixed.shape, lambda: fixed)
    return ""


def _axis(node: ir.Node) -> int:
    return _CONVOLVED if node.op_type == "Conv" else _MULTIPLIED
