"""``HardSigmoid`` and ``HardSwish`` out of clipped lines.

``HardSigmoid(x) = max(0, min(1, alpha * x + beta))`` and
``HardSwish(x) = x * max(0, min(1, x / 6 + 0.5))``.
Source: https://onnx.ai/onnx/operators/onnx__HardSwish.html.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Declined, Match, Skip, Var, op, rule

from .._forms import broadcasts_into, input_of
from ._near import ACTIVATION_TYPES, require_formula

_NUMBERS = {"offset": 3.0, "six": 6.0, "sixth": 1.0 / 6.0}
_RELU6 = op.Clip(op.Add("x", Const("offset", near=3.0)), ..., bind="clip")
_GATE = op.HardSigmoid("x", bind="gate")


def _bounds(m: Match, node: ir.Node) -> tuple[float, float]:
    """Reads the bounds of a ``Clip``, or declines; an absent bound is infinite."""
    if m.opset(node) < 11:
        return float(m.attr(node, "min", -3.4e38)), float(m.attr(node, "max", 3.4e38))
    found = []
    for index, absent in ((1, float("-inf")), (2, float("inf"))):
        given = input_of(node, index)
        found.append(absent if given is None else float(m.const(given).reshape(-1)[0]))
    return found[0], found[1]


def _require(m: Match, x: str, *constants: str) -> None:
    """Declines for types that runtimes lack, and for constants that widen the shape."""
    if m.dtype(x) not in ACTIVATION_TYPES:
        raise Declined(f"runtimes lack the operator for {m.dtype(x)}")
    for name in constants:
        if m.has(name) and not broadcasts_into(m, m.value(name), m.value(x)):
            raise Declined("a constant widens the shape, or may")


def _number(m: Match, name: str) -> float:
    number = m.uniform(name) if m.has(name) else None
    if number is None:
        raise Declined("a constant of the line is not one number")
    return number


@rule(
    op.Clip(op.Add(op.Mul("x", Const("slope")), Const("offset")), ..., bind="clip"),
    op.Clip(op.Add(op.Div("x", Const("divisor")), Const("offset")), ..., bind="clip"),
    op.Clip(op.Mul(op.Add("x", Const("summand")), Const("slope")), ..., bind="clip"),
    op.Clip(op.Div(op.Add("x", Const("summand")), Const("divisor")), ..., bind="clip"),
)
def fuse_hard_sigmoid(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse a line clipped to [0, 1] into ``HardSigmoid``.

    Declines for other bounds, for constants that are not one number, and for double precision.

    Example: Clip(Add(Mul(x, 0.2), 0.5), 0, 1) -> HardSigmoid<alpha=0.2, beta=0.5>(x)
    """
    if _bounds(m, m.node("clip")) != (0.0, 1.0):
        return Skip("the bounds are not 0 and 1")
    _require(m, "x", "slope", "divisor", "offset", "summand")
    slope = _number(m, "slope") if m.has("slope") else 1.0 / (_number(m, "divisor") or float("nan"))
    if slope != slope:
        return Skip("the line is divided by zero")
    offset = _number(m, "offset") if m.has("offset") else slope * _number(m, "summand")
    return build.op("HardSigmoid", m.value("x"), alpha=slope, beta=offset)


@rule(
    op.Div(_RELU6, Const("six", near=6.0)),
    op.Mul(_RELU6, Const("sixth", near=1.0 / 6.0)),
)
def fuse_hard_sigmoid_relu6(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse ``clip(x + 3, 0, 6) / 6`` into ``HardSigmoid``.

    Declines for other bounds and constants and for double precision.

    Example: Div(Clip(Add(x, 3), 0, 6), 6) -> HardSigmoid<alpha=0.1666, beta=0.5>(x)
    """
    if _bounds(m, m.node("clip")) != (0.0, 6.0):
        return Skip("the bounds are not 0 and 6")
    require_formula(m, "x", _NUMBERS)
    return build.op("HardSigmoid", m.value("x"), alpha=1.0 / 6.0, beta=0.5)


@rule(
    op.Div(op.Mul(Var("x"), _RELU6), Const("six", near=6.0)),
    op.Mul(op.Mul(Var("x"), _RELU6), Const("sixth", near=1.0 / 6.0)),
    op.Mul(op.Mul("x", Const("sixth", near=1.0 / 6.0)), _RELU6),
    op.Mul(op.Div("x", Const("six", near=6.0)), _RELU6),
)
def fuse_hard_swish_relu6(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse ``x * clip(x + 3, 0, 6) / 6`` into ``HardSwish``; before opset 14 into ``x * HardSigmoid``.

    Declines for other bounds and constants and for double precision.

    Example: Div(Mul(x, Clip(Add(x, 3), 0, 6)), 6) -> HardSwish(x)
    """
    if _bounds(m, m.node("clip")) != (0.0, 6.0):
        return Skip("the bounds are not 0 and 6")
    require_formula(m, "x", _NUMBERS)
    x = m.value("x")
    if m.opset() >= 14:
        return build.op("HardSwish", x)
    return build.op("Mul", x, build.op("HardSigmoid", x, alpha=1.0 / 6.0, beta=0.5))


@rule(op.Mul("x", _GATE))
def fuse_hard_swish(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse ``x * HardSigmoid(x)`` with slope 1/6 and offset 1/2 into ``HardSwish``.

    Declines before opset 14 and for other lines.

    Example: Mul(x, HardSigmoid<alpha=0.16667, beta=0.5>(x)) -> HardSwish(x)
    """
    if m.opset() < 14:
        return Skip("HardSwish needs opset 14")
    alpha, beta = float(m.attr("gate", "alpha", 0.2)), float(m.attr("gate", "beta", 0.5))
    if abs(alpha - 1.0 / 6.0) > 1e-5 or beta != 0.5:
        return Skip("the line is not that of HardSwish")
    return build.op("HardSwish", m.value("x"))
