"""Changes of sign, absorbed by the sum, difference, product or quotient next to them."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Match, Skip, Var, op, rule


@rule(op.Add("a", op.Neg("b", shared=True)), exact=True)
def add_neg_to_sub(m: Match, build: Builder) -> ir.Value:
    """Subtract instead of adding what was negated.

    Example: Add(a, Neg(b)) -> Sub(a, b)
    """
    return build.op("Sub", m.value("a"), m.value("b"))


@rule(op.Sub("a", op.Neg("b", shared=True)), exact=True)
def sub_neg_to_add(m: Match, build: Builder) -> ir.Value:
    """Add instead of subtracting what was negated.

    Example: Sub(a, Neg(b)) -> Add(a, b)
    """
    return build.op("Add", m.value("a"), m.value("b"))


@rule(
    op("Mul", "Div")(op.Neg("a", shared=True), op.Neg("b", shared=True), commutative=False),
    exact=True,
)
def cancel_signs(m: Match, build: Builder) -> ir.Value | Skip:
    """Drop the signs of two negated factors, or of a negated dividend and divisor.

    Declines for quotients of integers, whose smallest value has no negative.

    Example: Mul(Neg(a), Neg(b)) -> Mul(a, b)
    """
    if m.root.op_type == "Div" and not m.dtype("a").is_floating_point():
        return Skip("the smallest integer has no negative")
    return build.op(m.root.op_type, m.value("a"), m.value("b"))


@rule(op.Neg(op.Sub("a", "b")), exact=False)
def neg_of_sub(m: Match, build: Builder) -> ir.Value:
    """Turn a negated difference around.

    Not exact: where both are equal, ``-(a - b)`` is -0.0 and ``b - a`` is 0.0.

    Example: Neg(Sub(a, b)) -> Sub(b, a)
    """
    return build.op("Sub", m.value("b"), m.value("a"))


@rule(
    op.Neg(op.Mul(Var("x"), Const("c"))),
    op.Mul(op.Neg(Var("x"), shared=True), Const("c")),
    exact=True,
)
def negate_factor(m: Match, build: Builder) -> ir.Value | Skip:
    """Put a change of sign into a constant factor.

    Declines for integers, whose smallest value has no negative, and for constants over 64 KiB.

    Example: Neg(Mul(x, 2.0)) -> Mul(x, -2.0)
    """
    dtype = m.dtype("c")
    if not dtype.is_floating_point():
        return Skip("the type is not floating-point")
    return build.op("Mul", m.value("x"), build.const("factor", -m.const("c", 1 << 16), dtype))
