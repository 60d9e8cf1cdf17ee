"""The formulas of GELU as exporters spell them: exact by ``Erf``, approximate by ``Tanh``.

``x * (1 + erf(x / sqrt(2))) / 2`` and ``x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))) / 2``.
Rules that turn them into an operator, the standard one or a target's, start from the same patterns.
Source: https://onnx.ai/onnx/operators/onnx__Gelu.html.
"""

from __future__ import annotations

import math

from onnxopt.rewrite import Const, OneOf, Op, Var, one_of, op

NUMBERS = {
    "half": 0.5,
    "two": 2.0,
    "one": 1.0,
    "unit": 1.0,  # The one inside of the hyperbolic tangent; exporters may write it apart.
    "root": math.sqrt(2.0),
    "inverse_root": math.sqrt(0.5),
    "cubic": 0.044715,
    "slope": math.sqrt(2.0 / math.pi),
}
"""What each constant of the formulas is, by the name that the patterns bind it to."""


def _number(name: str) -> Const:
    return Const(name, near=NUMBERS[name])


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
    op.Mul(op.Mul("x", _number("slope")), op.Add(_GROWTH, _number("unit"))),
    op.Mul("x", op.Mul(op.Add(_GROWTH, _number("unit")), _number("slope"))),
)
_TANH = op.Add(op.Tanh(_INNER), _number("one"))

ERF_GELU = _product(_ERF)
"""The exact formula of ``x``."""

TANH_GELU = _product(_TANH)
"""The approximate formula of ``x``."""
