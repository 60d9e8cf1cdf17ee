"""``Sigmoid`` out of its formula, ``1 / (1 + exp(-x))``.

Source: https://onnx.ai/onnx/operators/onnx__Sigmoid.html. The formula overflows to a quotient of zero, as the
operator does. ``x / (1 + exp(-x))`` becomes ``x * Sigmoid(x)``, which runtimes know as SiLU.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Match, Var, one_of, op, rule

from ._near import require_formula

_EXP = op.Exp(one_of(op.Neg("x"), Var("argument")), bind="exp")
_BELOW = op.Add(_EXP, Const("one", equals=1.0))


def _sigmoid(m: Match, build: Builder) -> ir.Value:
    """Builds the operator; where the exponent is no negation, of the exponent negated."""
    if m.has("x"):
        require_formula(m, "x", {"one": 1.0})
        return build.op("Sigmoid", m.value("x"))
    require_formula(m, "argument", {"one": 1.0})
    return build.op("Sigmoid", build.op("Neg", m.value("argument")))


@rule(op.Reciprocal(_BELOW), op.Div(Const("numerator", equals=1.0), _BELOW))
def fuse_sigmoid(m: Match, build: Builder) -> ir.Value:
    """Fuse ``1 / (1 + exp(-x))`` into ``Sigmoid``.

    Declines for double precision, and where a constant widens the shape, or may.

    Example: Reciprocal(Add(Exp(Neg(x)), 1)) -> Sigmoid(x)
    """
    if m.has("numerator"):
        require_formula(m, "x" if m.has("x") else "argument", {"numerator": 1.0})
    return _sigmoid(m, build)


@rule(op.Div("data", _BELOW))
def fuse_sigmoid_product(m: Match, build: Builder) -> ir.Value:
    """Fuse a quotient ``z / (1 + exp(-x))`` into ``z * Sigmoid(x)``.

    Declines for double precision, and where a constant widens the shape, or may.

    Example: Div(x, Add(Exp(Neg(x)), 1)) -> Mul(x, Sigmoid(x))
    """
    return build.op("Mul", m.value("data"), _sigmoid(m, build))
