"""``MatMul`` and ``Gemm`` as ``MatMulInteger``.

The sum of a ``MatMul`` and its bias stays behind it as it is, where onnxruntime looks for it; that of a ``Gemm`` is written out so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from onnxopt.pipeline.base import Context
from onnxopt.quantization.types import QType
from onnxopt.rewrite import Builder

from ._dense import SINGLE, Dense, dense
from ._inputs import RULE, Inputs, scaled
from ._weights import Weights, without

_LARGEST_SUM = 2**31 - 1
_ACTIVATION = 255


@dataclass
class DynamicDense:
    """Quantises products with constant matrices.

    Args:
        context: The model.
        inputs: Activations in integers, shared.
        weights: Weights in integers, shared.
    """

    context: Context
    inputs: Inputs
    weights: Weights

    def quantise(self, node: ir.Node) -> str | None:
        """Quantises a ``MatMul`` or ``Gemm``; returns why not, '' where the editor said so, None where it did."""
        found = dense(self.context.facts, node)
        if isinstance(found, str):
            return found
        longest = longest_sum(self.weights.scheme.qtype, symmetric=self.weights.scheme.symmetric)
        if found.inner > longest:
            return f"sums of more than {longest} products may overflow int32"
        build = self.context.editor.builder(node)
        stored = self.weights.stored(
            build,
            found.weight,
            found.tensor,
            transposed=found.transposed,
            factor=found.factor,
        )
        x = self.inputs.quantised(build, node, found.x)
        zeros = () if stored.zero is None else (stored.zero,)
        sums = build.op("MatMulInteger", x.integers, stored.integers, x.zero, *zeros)
        result = scaled(build, sums, x.scale, stored.scale)
        bias = self._bias(build, found)
        if bias is not None:
            result = build.op("Add", result, bias)
        others = without(build.constants, stored)
        if not self.inputs.commit(build, node, found.x, x, result, others):
            return ""
        self.weights.keep(stored, found.weight, transposed=found.transposed, factor=found.factor)
        self._tell(found.weight)
        return None

    def _bias(self, build: Builder, found: Dense) -> ir.Value | None:
        """What a ``Gemm`` adds, as a row where it is one: only that is fused."""
        if found.bias is None or self.context.facts.const_tensor(found.bias) is None:
            return found.bias
        array = self.context.facts.const(found.bias)
        assert array is not None
        row = array.size == 1 or array.shape in ((found.columns,), (1, found.columns))
        if found.bias_factor == 1.0 and (not row or array.shape == (found.columns,)):
            return found.bias
        scaled_bias = array.astype(np.float64) * found.bias_factor
        if row:
            scaled_bias = np.broadcast_to(scaled_bias.reshape(-1), (found.columns,))
        return build.const("bias", scaled_bias, SINGLE)

    def _tell(self, weight: ir.Value) -> None:
        readers = [n for n, _ in weight.uses() if n.op_type not in ("MatMul", "Gemm")]
        if readers:
            self.context.stats.note(
                f"{RULE}: {weight.name} stays in float32 beside its integers, since "
                f"{readers[0].op_type} reads it, too"
            )


def longest_sum(weights: QType, *, symmetric: bool) -> int:
    """How many products of an activation in uint8 and a weight int32 holds whatever their values.

    Args:
        weights: The weights' type, and the part of it that is used.
        symmetric: Whether 0 is the middle of its values.
    """
    span = weights.levels // 2 if symmetric else weights.levels - 1
    return _LARGEST_SUM // (_ACTIVATION * span)
