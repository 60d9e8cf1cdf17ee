"""GELU out of its formula: exact by ``Erf``, approximate by ``Tanh``.

``x * (1 + erf(x / sqrt(2))) / 2`` and ``x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))) / 2``.
Source: https://onnx.ai/onnx/operators/onnx__Gelu.html.
"""

from __future__ import annotations

import math

import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Match, OneOf, Op, Skip, Var, one_of, op, rule

from ._near import require_formula

_NUMBERS = {
    "half": 0.5,
    "two": 2.0,
    "one": 1.0,
    "root": math.sqrt(2.0),
    "inverse_root": math.sqrt(0.5),
    "cubic": 0.044715,
    "slope": math.sqrt(2.0 / math.pi),
}


def _number(name: str) -> Const:
    return Const(name, near=_NUMBERS[name])


def _product(bell: Op) -> tuple[Op, ...]:
    """Spells ``x * bell / 2`` in every order that exporters write."""
    x, half = Var("x"), _number("half")
    return (
        op.Mul(x, op.Mul(bell, half)),
        op.Mul(op.Mul(x, half), bell),
        op.Mul(op.Mul(x, bell), half),
        op.Mul(op.Div(x, _number("two")), bell),
        op.Mul(x, op.Div(bell, _number("two"))),
        op.Div(op.Mul(x, bell), _number("two")),
    )


_ARGUMENT = one_of(op.Div("x", _number("root")), op.Mul("x", _number("inverse_root")))
_ERF = op.Add(op.Erf(_ARGUMENT), _number("one"))

_SQUARE = one_of(op.Mul("x", "x"), op.Pow("x", 2.0))
_CUBE = one_of(op.Pow("x", 3.0), op.Mul("x", _SQUARE))
_CUBIC: OneOf = one_of(
    op.Mul(_CUBE, _number("cubic")),
    op.Mul(_SQUARE, op.Mul("x", _number("cubic"))),
    op.Mul("x", op.Mul("x", op.Mul("x", _number("cubic")))),
    op.Mul("x", op.Mul(_SQUARE, _number("cubic"))),
)
_GROWTH = one_of(
    op.Mul("x", op.Mul("x", _number("cubic"))),
    op.Mul(_SQUARE, _number("cubic")),
)
_INNER = one_of(
    op.Mul(op.Add("x", _CUBIC), _number("slope")),
    op.Mul(op.Mul("x", _number("slope")), op.Add(_GROWTH, _number("one"))),
    op.Mul("x", op.Mul(op.Add(_GROWTH, _number("one")), _number("slope"))),
)
_TANH = op.Add(op.Tanh(_INNER), _number("one"))


@rule(*_product(_ERF))
def fuse_gelu(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse ``x * (1 + erf(x / sqrt(2))) / 2`` into ``Gelu``.

    Declines before opset 20, for double precision, and where a constant is not the formula's or
    would change the shape.

    Example: Mul(Mul(x, 0.5), Add(Erf(Div(x, 1.4142135)), 1.0)) -> Gelu(x)
    """
    if m.opset() < 20:
        return Skip("Gelu needs opset 20")
    require_formula(m, "x", _NUMBERS)
    return build.op("Gelu", m.value("x"))


@rule(*_product(_TANH))
def fuse_gelu_tanh(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse the formula of GELU's approximation by ``tanh`` into ``Gelu``.

    Declines before opset 20, for double precision, and where a constant is not the formula's or
    would change the shape.

    Example: x * 0.5 * (1 + Tanh(0.7978845 * (x + 0.044715 * x^3))) -> Gelu<approximate=tanh>(x)
    """
    if m.opset() < 20:
        return Skip("Gelu needs opset 20")
    require_formula(m, "x", _NUMBERS)
    return build.op("Gelu", m.value("x"), approximate="tanh")
