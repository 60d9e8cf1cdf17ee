"""Folds arithmetic with per-column constants into the ``Gemm`` before it."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Match, Skip, op, rule

from ._channels import arithmetic, per_channel
from ._gemm import GEMM, gemm_channels, gemm_with_affine


@rule(
    op("Add", "Mul")(GEMM, Const("c"), bind="arithmetic"),
    op("Sub", "Div")(GEMM, Const("c"), bind="arithmetic"),
    op("Sub", "Div")(Const("c"), GEMM, bind="arithmetic"),
)
def fuse_gemm_arithmetic(m: Match, build: Builder) -> ir.Value | Skip:
    """Fold ``Add``, ``Sub``, ``Mul`` or ``Div`` by a per-column constant into the ``Gemm``.

    Declines where the constant varies from row to row or would change the shape, and where the
    ``Gemm`` has a bias that is no constant.

    Example: Add(Gemm(x, w, b), c) -> Gemm(x, w, b + c)
    """
    channels = gemm_channels(m)
    constant = per_channel(m.const("c"), 2, 1, channels)
    if constant is None:
        return Skip("the constant is not one number for each column")
    first = m.root.inputs[0] is m.value("c")
    return gemm_with_affine(m, build, arithmetic(m.root.op_type, constant, first))
