"""Folds arithmetic with per-channel constants into the convolution before it."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Match, Skip, op, rule

from ._channels import arithmetic, per_channel
from ._conv import CONV, kernel_of, with_affine


@rule(
    op("Add", "Mul")(CONV, Const("c"), bind="arithmetic"),
    op("Sub", "Div")(CONV, Const("c"), bind="arithmetic"),
    op("Sub", "Div")(Const("c"), CONV, bind="arithmetic"),
)
def fuse_conv_arithmetic(m: Match, build: Builder) -> ir.Value | Skip:
    """Fold ``Add``, ``Sub``, ``Mul`` or ``Div`` by a per-channel constant into the convolution.

    The constant must broadcast as one number, or as one number for each output channel; a vector of
    as many numbers as there are channels does not, because it aligns with the last axis. A constant
    divided *by* the convolution stays, as does a division by zero.

    Example: Mul(Conv(x, w, b), c) -> Conv(x, w * c, b * c)
    """
    kernel = kernel_of(m)
    constant = per_channel(m.const("c"), len(kernel.shape), 1, kernel.channels)
    if constant is None:
        return Skip("the constant is not one number for each channel")
    first = m.root.inputs[0] is m.value("c")
    return with_affine(m, build, kernel, arithmetic(m.root.op_type, constant, first))
