"""``Conv`` as ``ConvInteger``, with unsigned weights: onnxruntime's kernel is many times slower with signed ones.

The kernel takes one zero point for the whole weight, so that weights are symmetric around the middle of their type.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from onnxopt.pipeline.base import Array, Context
from onnxopt.quantization.clipping import stored_weight, weight_affine
from onnxopt.rewrite import Builder

from ._dense import SINGLE, comes_from_integers
from ._inputs import Inputs, scaled
from ._products import longest_sum
from ._weights import Scheme


@dataclass
class DynamicConv:
    """Quantises convolutions with constant weights.

    Args:
        context: The model.
        inputs: Activations in integers, shared.
        scheme: How weights are stored; unsigned and symmetric.
    """

    context: Context
    inputs: Inputs
    scheme: Scheme

    def quantise(self, node: ir.Node) -> str | None:
        """Quantises a ``Conv``; returns why not, '' where the editor said so, None where it did."""
        facts = self.context.facts
        x, tensor = node.inputs[0], facts.const_tensor(node.inputs[1])
        if x is None or tensor is None:
            return "its weight is no constant"
        if facts.dtype(x) != SINGLE or tensor.dtype != SINGLE:
            return "it does not compute in float32"
        if comes_from_integers(facts, x):
            return "its input comes from integers already"
        if not tensor.size or len(tensor.shape) < 3:
            return "its weight is not one of a convolution"
        longest = longest_sum(self.scheme.qtype, symmetric=True)
        if int(np.prod(tensor.shape.numpy()[1:])) > longest:
            return f"sums of more than {longest} products may overflow int32"
        build = self.context.editor.builder(node)
        weight, scale, zero = self._weight(build, tensor)
        integers = self.inputs.quantised(build, node, x)
        sums = build.node(
            "ConvInteger",
            [integers.integers, weight, integers.zero, zero],
            [ir.Attr(a.name, a.type, a.value) for a in node.attributes.values()],
            outputs=1,
        )[0]
        result = scaled(build, sums, integers.scale, scale)
        bias = node.inputs[2] if len(node.inputs) > 2 else None
        if bias is not None:
            axes = list(range(1, len(tensor.shape) - 1))
            result = build.op("Add", result, self._spread(build, node, bias, axes))
        done = self.inputs.commit(build, node, x, integers, result, build.constants)
        return None if done else ""

    def _weight(
        self, build: Builder, tensor: ir.TensorProtocol
    ) -> tuple[ir.Value, ir.Value, ir.Value]:
        """The weight in integers, its scale as [channels, 1, ...] or a scalar, and its zero point, a scalar."""
        shape = tuple(tensor.shape.numpy())
        scheme = self.scheme
        affine = weight_affine(
            _matrix(tensor),
            scheme.qtype,
            symmetric=True,
            channels=scheme.channels,
            method=scheme.method,
        )

        def compute() -> Array:
            return stored_weight(_matrix(tensor), affine).T.reshape(shape)

        weight = build.lazy("quantised", scheme.qtype.dtype, shape, compute)
        scale = affine.scale
        if scheme.channels:
            scale = scale.reshape(-1, *[1] * (len(shape) - 2))
        zero = affine.zero_point.reshape(-1)[0]
        return (
            weight,
            build.const("scale", scale),
            build.const("zero_point", zero, scheme.qtype.dtype),
        )

    def _spread(self, build: Builder, node: ir.Node, bias: ir.Value, axes: list[int]) -> ir.Value:
        """A bias as [channels, 1, ...]."""
        array = self.context.facts.const(bias)
        if array is not None:
            return build.const("bias", array.reshape(-1, *[1] * len(axes)), SINGLE)
        if (self.context.facts.opset(node) or 0) >= 13:
            return build.op("Unsqueeze", bias, build.ints("axes", axes))
        return build.op("Unsqueeze", bias, axes=axes)


def _matrix(tensor: ir.TensorProtocol) -> Array:
    """A weight [channels, ...] as [..., channels]."""
    array: Array = tensor.numpy()
    return array.reshape(array.shape[0], -1).T
