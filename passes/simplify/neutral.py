"""Arithmetic and logic with a neutral element, which changes nothing."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Match, Skip, op, rule

from .._forms import broadcasts_into


@rule(op("Mul")("x", Const("c", equals=1)), op("Div", "Pow")("x", Const("c", equals=1)), exact=True)
def remove_unit_factor(m: Match, build: Builder) -> ir.Value | Skip:
    """Remove a product with one, a quotient by one, a first power.

    Declines where the constant's shape widens the result.

    Example: Mul(x, 1.0) -> x
    """
    if not broadcasts_into(m, m.value("c"), m.value("x")):
        return Skip("the constant widens the shape, or may")
    return m.value("x")


@rule(op.Sub("x", Const("c", equals=0)), exact=True)
def remove_zero_subtrahend(m: Match, build: Builder) -> ir.Value | Skip:
    """Remove the subtraction of zero.

    ``x - 0.0`` is ``x`` even for -0.0; subtracting -0.0 is not, and stays. Declines where the constant's
    shape widens the result.

    Example: Sub(x, 0.0) -> x
    """
    import numpy as np

    if not broadcasts_into(m, m.value("c"), m.value("x")):
        return Skip("the constant widens the shape, or may")
    if np.signbit(m.const("c").astype(np.float64)).any():
        return Skip("the constant is -0.0, which turns -0.0 into 0.0")
    return m.value("x")


@rule(op.Add("x", Const("c", equals=0)), exact=False)
def remove_zero_addend(m: Match, build: Builder) -> ir.Value | Skip:
    """Remove the addition of zero.

    Not exact: ``-0.0 + 0.0`` is ``0.0``. Declines where the constant's shape widens the result.

    Example: Add(x, 0.0) -> x
    """
    if not broadcasts_into(m, m.value("c"), m.value("x")):
        return Skip("the constant widens the shape, or may")
    return m.value("x")


@rule(
    op.And("x", Const("c", equals=1)),
    op("Or", "Xor", "BitwiseOr", "BitwiseXor")("x", Const("c", equals=0)),
    op.BitShift("x", Const("c", equals=0)),
    exact=True,
)
def remove_neutral_logic(m: Match, build: Builder) -> ir.Value | Skip:
    """Remove a logical or bitwise operation with its neutral element.

    Declines where the constant's shape widens the result.

    Example: And(x, true) -> x
    """
    if not broadcasts_into(m, m.value("c"), m.value("x")):
        return Skip("the constant widens the shape, or may")
    return m.value("x")


@rule(op.Xor("x", Const("c", equals=1)), exact=True)
def xor_true_to_not(m: Match, build: Builder) -> ir.Value | Skip:
    """Replace ``Xor`` with true by ``Not``.

    Declines where the constant's shape widens the result.

    Example: Xor(x, true) -> Not(x)
    """
    if not broadcasts_into(m, m.value("c"), m.value("x")):
        return Skip("the constant widens the shape, or may")
    return build.op("Not", m.value("x"))
