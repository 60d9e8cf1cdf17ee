"""Folds scaling by a scalar or per-column constant into the constant factor of a ``MatMul``.

``(x W) * c = x (W * c)``, where ``c`` is one number or one number for each column of ``W``.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Match, Skip, Var, one_of, op, rule

from ._channels import Array, arithmetic, per_channel, scaled_weight

_PRODUCT = one_of(
    op.MatMul(Var("x"), Const("w"), bind="matmul"), op.MatMul(Const("w"), Var("x"), bind="matmul")
)
_BIASED = op.Add(op.MatMul(Var("x"), Const("w"), bind="matmul"), Const("b"), bind="add")


def _factor(m: Match, columns: int | None) -> Array | None:
    """Returns the factor as one number (shape [1]) or one for each column."""
    constant = m.const("c")
    if constant.ndim > 1 and constant.ndim > m.rank(m.node("matmul").outputs[0]):
        return None
    rank = max(constant.ndim, 1)
    if columns is None or constant.size == 1:
        columns = 1
    numbers = per_channel(constant, rank, rank - 1, columns)
    return None if numbers is None else arithmetic(m.root.op_type, numbers, False).scale


@rule(op.Mul(_PRODUCT, Const("c")), op.Div(_PRODUCT, Const("c")))
def fuse_matmul_scale(m: Match, build: Builder) -> ir.Value | Skip:
    """Fold ``Mul`` or ``Div`` by a scalar or per-column constant into a ``MatMul``'s weight.

    Per column only where the weight is the right factor and a matrix or a stack of them. Declines
    for integers, whose division truncates, and where the constant would change the shape.

    Example: Mul(MatMul(x, w), c) -> MatMul(x, w * c)
    """
    node = m.node("matmul")
    shape = m.static_shape("w")
    if not m.dtype("w").is_floating_point():
        return Skip("the product is not of floating-point numbers")
    right = node.inputs[1] is m.value("w")
    if len(shape) < 2:
        return Skip("the weight is a vector")
    factor = _factor(m, shape[-1] if right else None)
    if factor is None:
        return Skip("the constant is not one number for each column")
    weight = scaled_weight(m, build, "w", factor)
    return build.like(node, *((m.value("x"), weight) if right else (weight, m.value("x"))))


@rule(op.Mul(_BIASED, Const("c")), op.Div(_BIASED, Const("c")))
def fuse_matmul_add_scale(m: Match, build: Builder) -> ir.Value | Skip:
    """Fold ``Mul`` or ``Div`` by a scalar or per-column constant into a weight and its bias.

    Declines for integers, for biases that are no vector, and where the constant would change the shape.

    Example: Mul(Add(MatMul(x, w), b), c) -> Add(MatMul(x, w * c), b * c)
    """
    shape = m.static_shape("w")
    if not m.dtype("w").is_floating_point():
        return Skip("the product is not of floating-point numbers")
    bias = m.const("b")
    if len(shape) < 2 or bias.shape not in ((shape[-1],), (1,), ()):
        return Skip("the weight is a vector, or the bias is not one number for each column")
    factor = _factor(m, shape[-1])
    if factor is None:
        return Skip("the constant is not one number for each column")
    weight = scaled_weight(m, build, "w", factor)
    product = build.like(m.node("matmul"), m.value("x"), weight)
    shifted = build.const("bias", bias.astype("float64") * factor, m.dtype("w"))
    return build.like(m.node("add"), product, shifted)
