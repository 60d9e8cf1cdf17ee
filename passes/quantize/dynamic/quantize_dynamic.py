"""Products of activations with constant weights in integers, the range of the activations found at each run.

``x @ W ~ (x_q - x_z) @ (W_q - w_z) * (x_s * w_s)`` with ``x_q, x_s, x_z = DynamicQuantizeLinear(x)``. The order of the factors
matters: as they stand, onnxruntime fuses all of it, a bias included, into ``DynamicQuantizeMatMul``; where several
products read one input, into one ``DynamicQuantizeLinear`` and a ``MatMulIntegerToFloat`` each. Both take the same time (128 rows
of 768 to 768 columns: 0.38 ms against 1.46 in float32, one thread of an x86 with VNNI). Unsigned weights take 2.4
times as long there as signed ones.

``ConvInteger`` is off by default, because onnxruntime does not fuse what stands around it. One thread takes 0.85 of the time in
float32 for convolutions of 64 channels on 56 x 56 (3 x 3: 1.80 against 2.14 ms), but four times as long for depthwise ones (0.37
against 0.09); with signed weights it is 4 to 27 times as long, so that those of convolutions are always unsigned.

Declined: what has no constant matrix in float32, what comes from integers already, what is in a function of the model, and sums
so long that int32 may overflow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from onnxopt.analysis.effects import is_function_call
from onnxopt.errors import UsageError
from onnxopt.pipeline.base import Context, Pass
from onnxopt.quantization.clipping import METHODS
from onnxopt.quantization.types import qtype
from onnxopt.rewrite.editor import where
from onnxopt.rewrite.scopes import owner

from .._selection import Selection
from ._conv import DynamicConv
from ._inputs import RULE, Inputs
from ._lstm import DynamicLstm
from ._products import DynamicDense
from ._weights import Scheme, Weights

_OPSET = 11
_CHOICES = {
    "weights": ("s8", "u8"),
    "granularity": ("channel", "tensor"),
    "bits": (8, 7),
    "method": METHODS,
}


@dataclass(frozen=True)
class QuantizeDynamic(Pass):
    """Computes products with constant weights in 8-bit integers; no calibration is needed.

    Attributes:
        weights: The type of the weights: ``s8``, symmetric, or ``u8``, with zero points.
        granularity: One scale for each output ``channel``, or for the whole ``tensor``.
        bits: How many bits of the type weights use. 7 where the processor adds pairs of products in 16 bits, which 8-bit weights
            saturate: x86 without VNNI.
        method: How the range of a weight is chosen: ``minmax``, or ``mse`` to clip where that lowers the squared error. It
            helps where there is one scale for the whole tensor.
        include: What is quantised: names of nodes or of their results, operators, and patterns of the shell, ``;``
            between; nothing for all.
        exclude: What is not, likewise.
        conv: Whether to quantise convolutions, too.
        lstm: Whether to quantise LSTMs, too, where the target has a kernel for that.

    Example: y = Add(MatMul(x, w), b) -> q, s, z = DynamicQuantizeLinear(x);
        y = Add(Mul(Cast(MatMulInteger(q, w_q, z)), Mul(s, w_s)), b)
    """

    name: ClassVar[str] = RULE
    summary: ClassVar[str] = "Compute products with constant weights in 8-bit integers."
    exact: ClassVar[bool] = False
    lossy: ClassVar[bool] = True
    weights: str = "s8"
    granularity: str = "channel"
    bits: int = 8
    method: str = "minmax"
    include: str = ""
    exclude: str = ""
    conv: bool = False
    lstm: bool = False

    def run(self, context: Context) -> int:
        """Quantises the products in the main graph and the bodies in it.

        Raises:
            UsageError: An option has a value that is none of its choices, or a name fits no node.
        """
        for option, choices in _CHOICES.items():
            given = getattr(self, option)
            if given not in choices:
                listed = " or ".join(str(choice) for choice in choices)
                raise UsageError(f"{RULE}: {option} is {listed}, not {given!r}")
        nodes = [n for graph in context.editor.scopes.graphs() for n in graph]
        chosen = Selection.of(self.include, self.exclude)
        chosen.check(nodes)
        kinds = self._kinds(context)
        changed = 0
        for node in nodes:
            kind = kinds.get(node.op_type) if node.domain == "" else None
            if kind is None or node.graph is None:
                continue
            reason = _refusal(context, node, chosen) or kind.quantise(node)
            if reason is None:
                changed += 1
            elif reason:
                context.stats.decline(RULE, where(node), f"{node.op_type}: {reason}")
        return changed

    def _kinds(self, context: Context) -> dict[str, DynamicDense | DynamicConv | DynamicLstm]:
        """What quantises the nodes of each operator."""
        inputs = Inputs(context)
        used = qtype(self.weights).narrowed(self.bits)
        channels = self.granularity == "channel"
        scheme = Scheme(used, used.signed, channels, self.method)
        product = DynamicDense(context, inputs, Weights(context, scheme))
        kinds: dict[str, DynamicDense | DynamicConv | DynamicLstm] = {
            "MatMul": product,
            "Gemm": product,
        }
        if self.conv:
            unsigned = Scheme(qtype("u8").narrowed(self.bits), True, channels, self.method)
            kinds["Conv"] = DynamicConv(context, inputs, unsigned)
        if self.lstm:
            kinds["LSTM"] = DynamicLstm(context, scheme)
        return kinds


def _refusal(context: Context, node: ir.Node, chosen: Selection) -> str | None:
    """Why a node is not looked at, or None."""
    return next(_reasons(context, node, chosen), None)


def _reasons(context: Context, node: ir.Node, chosen: Selection) -> Iterator[str]:
    reason = chosen.refusal(node)
    if reason:
        yield reason
    if is_function_call(node, context.model):
        yield "it calls a function of the model"
    if context.editor.scopes.of(owner(node)).function is not None:
        yield "it lies in a function of the model; inline-functions{all=true} takes its nodes out"
    version = context.facts.opset(node)
    if version is not None and version < _OPSET:
        yield f"opset {version} has no DynamicQuantizeLinear; raise it to {_OPSET} or later"
