"""Group normalisation of images, as ``GroupNorm`` between transpositions.

Exporters write it as ``InstanceNormalization`` of the groups between two ``Reshape``s, scaled and shifted for each channel; from
opset 21 on it is a standard operator. ``GroupNorm`` wants the channels last, and scale and shift in single precision.
Only onnxruntime's CUDA provider has a kernel.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Declined, Match, Skip, Var, op, rule

from .._forms import same_shape
from ..fuse._channels import Array
from ._kernels import MICROSOFT, require_kernel

_GROUPS = op.Reshape("x", Var("split"), bind="groups")
_NORM = op.InstanceNormalization(_GROUPS, Const("ones", near=1.0), Const("zeros"), bind="norm")


def _channels(m: Match) -> int:
    """Returns the number of channels of an image ``[N, C, H, W]``, or declines."""
    shape = m.shape("x")
    if len(shape) != 4 or not isinstance(shape[1], int):
        raise Declined("the data are no images of known depth")
    require_kernel(m, "GroupNorm", m.dtype("x"))
    return shape[1]


def _build(
    m: Match, build: Builder, gamma: Array, beta: Array, groups: int, epsilon: float
) -> ir.Value:
    last = build.op("Transpose", m.value("x"), perm=[0, 2, 3, 1])
    made = build.op(
        "GroupNorm",
        last,
        build.const("gamma", gamma, ir.DataType.FLOAT),
        build.const("beta", beta, ir.DataType.FLOAT),
        domain=MICROSOFT,
        activation=0,
        epsilon=epsilon,
        groups=groups,
    )
    return build.op("Transpose", made, perm=[0, 3, 1, 2])


@rule(op.GroupNormalization("x", Const("gamma"), Const("beta"), bind="norm"))
def lower_group_norm(m: Match, build: Builder) -> ir.Value | Skip:
    """Turn ``GroupNormalization`` of images into ``GroupNorm``.

    Declines where the target lacks the operator, for data other than images of known depth, and where scale and shift are
    not constants of one number for each channel, as before opset 21.

    Example: GroupNormalization<num_groups=32>(x, gamma, beta) -> Transpose(com.microsoft.GroupNorm<groups=32>(Transpose(x), gamma, beta))
    """
    channels = _channels(m)
    groups = int(m.attr("norm", "num_groups"))
    spread = [m.const(name) for name in ("gamma", "beta")]
    if any(array.shape != (channels,) for array in spread):
        return Skip("scale and shift are not those of the channels")
    epsilon = float(m.attr("norm", "epsilon", 1e-5))
    return _build(m, build, spread[0], spread[1], groups, epsilon)


@rule(
    op.Add(
        op.Mul(op.Reshape(_NORM, Var("join"), bind="joined"), Const("gamma")),
        Const("beta"),
    )
)
def lower_group_norm_formula(m: Match, build: Builder) -> ir.Value | Skip:
    """Turn the exporters' formula of group normalisation into ``GroupNorm``.

    Declines where the target lacks the operator, for data other than images of known depth, where the groups are not
    proven to be channels in order, and for scales and shifts other than one number for each channel.

    Example: Add(Mul(Reshape(InstanceNormalization(Reshape(x, [0,32,-1]), 1, 0), shape), gamma), beta) -> Transpose(com.microsoft.GroupNorm<groups=32>(Transpose(x), gamma, beta))
    """
    channels = _channels(m)
    split = m.shape(m.node("groups").outputs[0])
    groups = split[1]
    if not isinstance(groups, int) or split[0] != m.shape("x")[0] or channels % groups:
        return Skip("the groups are not proven to be channels in order")
    if not same_shape(m, m.node("joined").outputs[0], m.value("x")):
        return Skip("the groups are not joined to what they were")
    if m.uniform("ones") != 1.0 or m.uniform("zeros") != 0.0:
        return Skip("the groups are scaled or shifted")
    gamma, beta = m.const("gamma"), m.const("beta")
    if any(a.shape not in ((channels, 1, 1), (1, channels, 1, 1)) for a in (gamma, beta)):
        return Skip("scale and shift are not those of the channels")
    epsilon = float(m.attr("norm", "epsilon", 1e-5))
    return _build(m, build, gamma.reshape(-1), beta.reshape(-1), groups, epsilon)
