"""Folds ``BatchNormalization`` into the linear operator before it.

At inference it is an affine map of each channel, ``k * x + (beta - mean * k)`` with
``k = scale / sqrt(var + epsilon)``.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Match, Skip, Var, op, rule

from ._channels import normalization
from ._conv import CONV, kernel_of, with_affine
from ._gemm import GEMM, as_gemm, gemm_channels, gemm_with_affine

_PARAMETERS = (Const("scale"), Const("beta"), Const("mean"), Const("var"))


@rule(op.BatchNormalization(CONV, *_PARAMETERS, bind="bn"))
def fuse_conv_batch_norm(m: Match, build: Builder) -> ir.Value | Skip:
    """Fold ``BatchNormalization`` into the ``Conv`` or ``ConvTranspose`` before it.

    Declines in training mode (an attribute from opset 14 on, extra outputs before), for parameters
    that are no constants of one number a channel, and where a factor is not finite.

    Example: BatchNormalization(Conv(x, w, b), scale, beta, mean, var) -> Conv(x, w', b')
    """
    if m.opset() < 7:
        return Skip("BatchNormalization before opset 7 has another form")
    kernel = kernel_of(m)
    return with_affine(m, build, kernel, normalization(m, m.node("bn"), kernel.channels))


@rule(op.BatchNormalization(GEMM, *_PARAMETERS, bind="bn"))
def fuse_gemm_batch_norm(m: Match, build: Builder) -> ir.Value | Skip:
    """Fold ``BatchNormalization`` into the ``Gemm`` before it.

    The channels are the columns. Declines as ``fuse-conv-batch-norm`` does.

    Example: BatchNormalization(Gemm(x, w, b), scale, beta, mean, var) -> Gemm(x, w', b')
    """
    if m.opset() < 7:
        return Skip("BatchNormalization before opset 7 has another form")
    affine = normalization(m, m.node("bn"), gemm_channels(m))
    return gemm_with_affine(m, build, affine)


@rule(op.BatchNormalization(op.MatMul("x", Var("w"), bind="matmul"), *_PARAMETERS, bind="bn"))
def fuse_matmul_batch_norm(m: Match, build: Builder) -> ir.Value | Skip:
    """Fold ``BatchNormalization`` into the ``MatMul`` of two matrices before it, as a ``Gemm``.

    Declines unless the product has rank 2: otherwise its channels are not the columns.

    Example: BatchNormalization(MatMul(x, w), scale, beta, mean, var) -> Gemm(x, w', b')
    """
    if m.opset() < 7:
        return Skip("BatchNormalization before opset 7 has another form")
    if m.rank("x") != 2 or m.rank("w") != 2:
        return Skip("the product is not of two matrices")
    affine = normalization(m, m.node("bn"), m.static_shape("w")[1])
    return as_gemm(m, build, affine)
