"""Reciprocals: one spelling for them, and products with them as quotients."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Match, Skip, op, rule

from .._forms import broadcasts_into


@rule(op.Div(Const("one", equals=1), "x"), exact=False)
def div_one_to_reciprocal(m: Match, build: Builder) -> ir.Value | Skip:
    """Spell a quotient of one as ``Reciprocal``.

    That is the spelling that patterns expect. Not exact: kernels may approximate. Declines for integers
    and where the constant's shape widens the result.

    Example: Div(1.0, x) -> Reciprocal(x)
    """
    if not m.dtype("x").is_floating_point():
        return Skip("the type is not floating-point")
    if not broadcasts_into(m, m.value("one"), m.value("x")):
        return Skip("the constant widens the shape, or may")
    return build.op("Reciprocal", m.value("x"))


@rule(op.Mul("a", op.Reciprocal("b")), exact=False)
def mul_reciprocal_to_div(m: Match, build: Builder) -> ir.Value:
    """Divide instead of multiplying by a reciprocal.

    Rounds once instead of twice.

    Example: Mul(a, Reciprocal(b)) -> Div(a, b)
    """
    return build.op("Div", m.value("a"), m.value("b"))


@rule(op.Div("a", op.Reciprocal("b")), exact=False)
def div_reciprocal_to_mul(m: Match, build: Builder) -> ir.Value:
    """Multiply instead of dividing by a reciprocal.

    Rounds once instead of twice.

    Example: Div(a, Reciprocal(b)) -> Mul(a, b)
    """
    return build.op("Mul", m.value("a"), m.value("b"))
