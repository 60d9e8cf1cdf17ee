"""``InstanceNormalization`` out of its formula, and what scales and shifts its channels.

``(x - mean) / sqrt(mean((x - mean)^2) + eps)`` over all axes after the channels. Source:
https://onnx.ai/onnx/operators/onnx__InstanceNormalization.html.

Normalised groups, which torch writes as ``InstanceNormalization`` between two ``Reshape``s, are left so on purpose.
onnxruntime's CPU has no kernel for ``GroupNormalization`` and takes it apart again: 2.8 ms against 1.6 ms for the
formula (320 x 64 x 64 in 32 groups), 0.18 against 0.10 ms (128 x 32 x 32). Targets with a kernel of their own are the
concern of ``lower``.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Declined, Match, Skip, one_of, op, rule

from .._forms import normalize_all, raw_axes
from ._channels import arithmetic, per_channel
from ._norms import epsilon, quotients

_CENTERED = op.Sub("x", op.ReduceMean("x", ..., bind="mean"))
_SQUARE = one_of(op.Pow(_CENTERED, 2.0), op.Mul(_CENTERED, _CENTERED))
_RADICAND = op.Add(op.ReduceMean(_SQUARE, ..., bind="variance"), Const("eps"))
_TYPES = frozenset({ir.DataType.FLOAT, ir.DataType.FLOAT16})


def _require_spatial(m: Match, name: str, rank: int) -> None:
    node = m.node(name)
    axes = raw_axes(m, node)
    if not axes or not m.attr(node, "keepdims", 1):
        raise Declined("the mean drops its axes, or has none")
    if sorted(normalize_all(axes, rank)) != list(range(2, rank)):
        raise Declined("the mean is not over the axes after the channels")


@rule(*quotients(_CENTERED, _RADICAND))
def fuse_instance_norm(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse the formula of instance normalisation into ``InstanceNormalization``.

    Declines for fewer than four axes, where the same formula is a layer normalisation, for other axes than
    those after the channels, for an unknown number of channels, and for double precision.

    Example: Div(Sub(x, ReduceMean(x, [2,3])), Sqrt(...)) -> InstanceNormalization(x, 1, 0)
    """
    x = m.value("x")
    shape, dtype = m.shape(x), m.dtype(x)
    if dtype not in _TYPES:
        return Skip("InstanceNormalization is for single and half precision")
    if len(shape) < 4:
        return Skip("there are fewer than two axes after the channels")
    channels = shape[1]
    if not isinstance(channels, int):
        return Skip("the number of channels is not known")
    _require_spatial(m, "mean", len(shape))
    _require_spatial(m, "variance", len(shape))
    scale = build.const("scale", np.ones(channels), dtype)
    bias = build.const("bias", np.zeros(channels), dtype)
    return build.op("InstanceNormalization", x, scale, bias, epsilon=epsilon(m, x))


_NORM = op.InstanceNormalization("x", Const("scale"), Const("bias"), bind="norm")


@rule(
    op("Add", "Mul")(_NORM, Const("c")),
    op("Sub", "Div")(_NORM, Const("c")),
    op("Sub", "Div")(Const("c"), _NORM),
)
def fuse_instance_norm_arithmetic(m: Match, build: Builder) -> ir.Value | Skip:
    """Fold ``Add``, ``Sub``, ``Mul`` or ``Div`` by a per-channel constant into ``InstanceNormalization``.

    Declines for constants that vary along other axes or widen the shape, and for divisions of the constant.

    Example: Mul(InstanceNormalization(x, s, b), c) -> InstanceNormalization(x, s * c, b * c)
    """
    scale, bias = (m.const(name).astype(np.float64) for name in ("scale", "bias"))
    constant = per_channel(m.const("c"), m.rank("x"), 1, scale.size)
    if constant is None:
        return Skip("the constant is not one number for each channel")
    first = m.root.inputs[0] is m.value("c")
    affine = arithmetic(m.root.op_type, constant, first)
    if affine.scale is not None:
        scale = scale * affine.scale
    dtype = m.dtype("scale")
    inputs = [build.const("scale", scale, dtype), build.const("bias", affine.on(bias), dtype)]
    return build.like(m.node("norm"), m.value("x"), *inputs)
