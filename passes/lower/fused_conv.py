"""``Conv`` and what is applied to its result, as ``FusedConv``.

``FusedConv(x, w, b, z) = activation(Conv(x, w, b) + z)``. onnxruntime's CPU takes a ``FusedConv`` into its blocked layout as
it takes ``Conv`` and an activation, and ends with the same graph; with ``z`` it does not, where the tensor that is
added lies in the plain layout.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Skip, Var, op, rule

from .._forms import same_shape
from ._epilogues import ACTIVATIONS, parameters, require_epilogue
from ._kernels import MICROSOFT, require_kernel

_CONV = op.Conv("x", "w", Var("b", optional=True), bind="conv")


def _build(m: Match, build: Builder, act: ir.Node, z: ir.Value | None) -> ir.Value:
    conv = m.node("conv")
    given = {name: m.attr(conv, name) for name in conv.attributes}
    return build.op(
        "FusedConv",
        *(m.value("x"), m.value("w"), m.maybe("b"), z),
        domain=MICROSOFT,
        activation=act.op_type,
        activation_params=list(parameters(m, act)) or None,
        **given,
    )


@rule(op(*ACTIVATIONS)(_CONV, ..., bind="act"))
def lower_conv_activation(m: Match, build: Builder) -> ir.Value:
    """Apply an activation within ``FusedConv``.

    Declines where the target lacks it, or has it without this activation.

    Example: Relu(Conv(x, w, b)) -> com.microsoft.FusedConv<activation=Relu>(x, w, b)
    """
    act = m.node("act")
    require_kernel(m, "FusedConv", m.dtype("x"))
    require_epilogue(m, "FusedConv", act.op_type)
    return _build(m, build, act, None)


@rule(op.Relu(op.Add(_CONV, "z"), bind="act"))
def lower_conv_add_relu(m: Match, build: Builder) -> ir.Value | Skip:
    """Add a tensor and apply ``Relu`` within ``FusedConv``.

    Declines where the target lacks it, or has it without the addition, and for tensors of another shape.

    Example: Relu(Add(Conv(x, w, b), z)) -> com.microsoft.FusedConv<activation=Relu>(x, w, b, z)
    """
    require_kernel(m, "FusedConv", m.dtype("x"))
    require_epilogue(m, "FusedConv", "Add+Relu")
    z = m.value("z")
    if not same_shape(m, z, m.node("conv").outputs[0]):
        return Skip("what is added is not proven to have the shape of the result")
    return _build(m, build, m.node("act"), z)
