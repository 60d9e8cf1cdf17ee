"""``Gemm`` and the activation after it, as ``FusedGemm``."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Var, op, rule

from ._epilogues import ACTIVATIONS, parameters, require_epilogue
from ._kernels import MICROSOFT, require_float_weights, require_kernel

_NAMES = ("activation_alpha", "activation_beta")


@rule(op(*ACTIVATIONS)(op.Gemm("a", "b", Var("c", optional=True), bind="gemm"), ..., bind="act"))
def lower_gemm_activation(m: Match, build: Builder) -> ir.Value:
    """Apply an activation within ``FusedGemm``.

    Declines where the target lacks it, or has it without this activation, and where the second factor is stored in integers.

    Example: Relu(Gemm(a, b, c)) -> com.microsoft.FusedGemm<activation=Relu>(a, b, c)
    """
    gemm, act = m.node("gemm"), m.node("act")
    require_kernel(m, "FusedGemm", m.dtype("a"))
    require_epilogue(m, "FusedGemm", act.op_type)
    require_float_weights(m, m.value("b"))
    given = {name: m.attr(gemm, name) for name in gemm.attributes}
    given.update(zip(_NAMES, parameters(m, act), strict=False))
    inputs = (m.value("a"), m.value("b"), m.maybe("c"))
    return build.op("FusedGemm", *inputs, domain=MICROSOFT, activation=act.op_type, **given)
