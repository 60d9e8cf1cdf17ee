"""GELU of a sum with a bias, as one operator.

``BiasGelu(x, b) = Gelu(x + b)`` and ``FastGelu(x, b) = FastGelu(x + b)``, where ``b`` has one number for each element of
the last axis of ``x``.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Skip, ms, op, rule

from ._kernels import MICROSOFT, require_kernel

_SUM = op.Add("x", "bias", bind="sum")


def _is_bias(m: Match) -> bool:
    """Whether the second summand has one number for each element of the first one's last axis."""
    shape, bias = m.shape("x"), m.shape("bias")
    return len(bias) == 1 and len(shape) > 0 and shape[-1] == bias[0]


@rule(ms.Gelu(_SUM), op.Gelu(_SUM, approximate="none"))
def lower_bias_gelu(m: Match, build: Builder) -> ir.Value | Skip:
    """Turn ``Gelu`` of a sum with a bias into ``BiasGelu``.

    Declines where the target lacks it, and for summands that are no bias of the last axis.

    Example: Gelu(Add(x, bias)) -> com.microsoft.BiasGelu(x, bias)
    """
    require_kernel(m, "BiasGelu", m.dtype("x"))
    if not _is_bias(m):
        return Skip("no summand is one number for each element of the last axis")
    return build.op("BiasGelu", m.value("x"), m.value("bias"), domain=MICROSOFT)


@rule(ms.FastGelu(_SUM), op.Gelu(_SUM, approximate="tanh"))
def lower_bias_fast_gelu(m: Match, build: Builder) -> ir.Value | Skip:
    """Turn the approximate ``Gelu`` of a sum with a bias into ``FastGelu``.

    Declines where the target lacks it, and for summands that are no bias of the last axis.

    Example: Gelu<approximate=tanh>(Add(x, bias)) -> com.microsoft.FastGelu(x, bias)
    """
    require_kernel(m, "FastGelu", m.dtype("x"))
    if not _is_bias(m):
        return Skip("no summand is one number for each element of the last axis")
    return build.op("FastGelu", m.value("x"), m.value("bias"), domain=MICROSOFT)
