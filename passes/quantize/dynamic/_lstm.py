"""``LSTM`` with 8-bit weights, by onnxruntime's ``DynamicQuantizeLSTM``, where the target has it.

The kernel reads its two weights transposed, ``[directions, inputs, 4 hidden]``, with a scale for each direction, or for each of the
gates' channels; inputs and hidden states are rounded at each step. Cell states, biases and activations stay in float32. An LSTM
of 64 inputs and 64 cells takes 0.64 to 0.7 of the time in float32 (40 steps, batch 1, one thread), with errors of 0.013
in outputs of up to 0.58.
Source: the specification of the operator in onnxruntime's ContribOperators.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from onnxopt.pipeline.base import Array, Context
from onnxopt.quantization.affine import Affine
from onnxopt.quantization.clipping import stored_weight, weight_affine
from onnxopt.quantization.types import qtype
from onnxopt.rewrite import Builder, Rewrite

from .._marking import mark_dynamic
from ._dense import SINGLE
from ._inputs import RULE
from ._weights import Scheme

_KERNEL = "DynamicQuantizeLSTM"
_DOMAIN = "com.microsoft"
_FORMAL_INPUTS = 8


@dataclass
class DynamicLstm:
    """Quantises LSTMs with constant weights.

    Args:
        context: The model.
        scheme: How weights are stored; of its type only the number of bits counts, since they are signed here.
    """

    context: Context
    scheme: Scheme

    def quantise(self, node: ir.Node) -> str | None:
        """Quantises an ``LSTM``; returns why not, '' where the editor said so, None where it did."""
        facts, target = self.context.facts, self.context.target
        if not target.has(_KERNEL, SINGLE):
            return f"target {target.name} has no {_KERNEL}"
        weights = [facts.const_tensor(v) for v in node.inputs[1:3]]
        if facts.dtype(node.inputs[0]) != SINGLE:
            return "it does not compute in float32"
        if node.attributes.get_int("layout", 0):
            return f"{_KERNEL} has no layout with the batch first"
        build = self.context.editor.builder(node)
        made = [self._weight(build, t) for t in weights if t is not None]
        if len(made) != len(weights):
            build.discard()
            return "its weights are no constants"
        (w, *w_scale), (r, *r_scale) = made
        rest = list(node.inputs[3:_FORMAL_INPUTS])
        rest += [None] * (_FORMAL_INPUTS - 3 - len(rest))
        outputs = build.node(
            _KERNEL,
            [node.inputs[0], w, r, *rest, *w_scale, *r_scale],
            [
                ir.Attr(a.name, a.type, a.value)
                for a in node.attributes.values()
                if a.name != "layout"
            ],
            outputs=len(node.outputs),
            domain=_DOMAIN,
        )
        for old, new in zip(node.outputs, outputs, strict=True):
            new.name = new.name if old.name else ""
        pairs = [(old, new) for old, new in zip(node.outputs, outputs, strict=True) if old.name]
        rewrite = Rewrite(
            RULE, node, pairs, [node], tuple(build.nodes), tuple(build.constants), settled=True
        )
        if self.context.editor.commit(rewrite) is None:
            build.discard()
            return ""
        mark_dynamic(rewrite.nodes)
        return None

    def _weight(
        self, build: Builder, tensor: ir.TensorProtocol
    ) -> tuple[ir.Value, ir.Value, ir.Value]:
        """A weight [directions, 4 hidden, inputs] in integers, transposed, with its scales and zero points."""
        directions, rows, columns = (int(d) for d in tensor.shape.numpy())
        affines = [self._affine(matrix.T) for matrix in tensor.numpy()]

        def compute() -> Array:
            pairs = zip(tensor.numpy(), affines, strict=True)
            return np.stack([stored_weight(matrix.T, affine) for matrix, affine in pairs])

        dtype = ir.DataType.INT8
        integers = build.lazy("quantised", dtype, (directions, columns, rows), compute)
        scale = np.stack([affine.scale for affine in affines])
        return (
            integers,
            build.const("scale", scale),
            build.const("zero_point", np.zeros(scale.shape), dtype),
        )

    def _affine(self, matrix: Array) -> Affine:
        signed = qtype("s8").narrowed(7 if self.scheme.qtype.levels < 256 else 8)
        return weight_affine(
            matrix,
            signed,
            symmetric=True,
            channels=self.scheme.channels,
            method=self.scheme.method,
        )
