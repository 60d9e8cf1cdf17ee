"""Activations out of ``Where``: ``LeakyRelu``, ``Elu``, ``ThresholdedRelu``, ``Softplus``.

Selections by the sign of the data compute both sides for every element and then pick one. Written as
one operator they took a tenth to a third of the time on onnxruntime's CPU (200,000 numbers, two threads).
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Match, OneOf, Op, Skip, Var, one_of, op, rule

from .._forms import broadcasts_into
from ._near import require_formula

_STEEPEST = 15.0
"""From here on ``softplus(x)`` is ``x`` to single precision: the rest is below ``exp(-15)``."""


def _by_sign(below: Op | OneOf) -> tuple[Op, ...]:
    """Spells "``x`` where it is positive, else ``below``"; both agree at zero."""
    x, zero = Var("x"), Const("zero", equals=0.0)
    return (
        op.Where(op("Greater", "GreaterOrEqual")(x, zero), x, below),
        op.Where(op("Less", "LessOrEqual")(x, zero), below, x),
    )


def _keeps_shape(m: Match, *constants: str) -> bool:
    return all(broadcasts_into(m, m.value(n), m.value("x")) for n in constants if m.has(n))


@rule(*_by_sign(op.Mul("x", Const("slope"))))
def fuse_leaky_relu_where(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse ``x`` where it is positive, else ``a * x``, into ``LeakyRelu``.

    Declines for slopes that differ between elements, where a constant widens the shape, or may, and for
    double precision.

    Example: Where(Greater(x, 0), x, Mul(x, 0.1)) -> LeakyRelu<alpha=0.1>(x)
    """
    require_formula(m, "x", {})
    slope = m.uniform("slope")
    if slope is None:
        return Skip("the slope is not one number")
    if not _keeps_shape(m, "slope", "zero"):
        return Skip("a constant widens the shape, or may")
    return build.op("LeakyRelu", m.value("x"), alpha=slope)


_GROWTH = one_of(op.Sub(op.Exp("x"), Const("one", equals=1.0)), op.Add(op.Exp("x"), -1.0))


@rule(*_by_sign(one_of(_GROWTH, op.Mul(_GROWTH, Const("alpha")))))
def fuse_elu(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse ``x`` where it is positive, else ``a * (exp(x) - 1)``, into ``Elu``.

    Declines for factors that differ between elements, where a constant widens the shape, or may, and for
    double precision.

    Example: Where(Greater(x, 0), x, Sub(Exp(x), 1)) -> Elu(x)
    """
    require_formula(m, "x", {})
    alpha = m.uniform("alpha") if m.has("alpha") else 1.0
    if alpha is None:
        return Skip("the factor is not one number")
    if not _keeps_shape(m, "alpha", "zero", "one"):
        return Skip("a constant widens the shape, or may")
    return build.op("Elu", m.value("x"), alpha=alpha)


@rule(op.Where(op.Greater("x", Const("bound")), "x", Const("zero", equals=0.0)))
def fuse_thresholded_relu(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse ``x`` where it exceeds a number, else zero, into ``ThresholdedRelu``.

    The comparison the other way round, which lets NaN pass, is another function. Declines for bounds that differ
    between elements, where a constant widens the shape, or may, before opset 10, and for double precision.

    Example: Where(Greater(x, 1), x, 0) -> ThresholdedRelu<alpha=1>(x)
    """
    if m.opset() < 10:
        return Skip("ThresholdedRelu needs opset 10")
    require_formula(m, "x", {})
    bound = m.uniform("bound")
    if bound is None:
        return Skip("the bound is not one number")
    if not _keeps_shape(m, "bound", "zero"):
        return Skip("a constant widens the shape, or may")
    return build.op("ThresholdedRelu", m.value("x"), alpha=bound)


_STEEP = op.Mul("x", Const("beta"), bind="steep", shared=True)


@rule(
    op.Where(op.Greater("x", Const("bound")), "x", op.Softplus("x", bind="softplus")),
    op.Where(
        op.Greater(_STEEP, Const("bound")),
        "x",
        op.Div(op.Softplus(_STEEP, bind="softplus"), Const("divisor"), bind="quotient"),
    ),
)
def drop_softplus_bound(m: Match, build: Builder) -> ir.Value | Skip:
    """Drop the bound from which on ``Softplus`` is left out because it is the identity.

    torch's newer exporter writes its softplus so, with a bound of 20. Declines for bounds below 15, where the two
    differ, for factors other than the divisor, where a constant widens the shape, or may, and for double precision.

    Example: Where(Greater(x, 20), x, Softplus(x)) -> Softplus(x)
    """
    require_formula(m, "x", {})
    bound = m.uniform("bound")
    if bound is None or bound < _STEEPEST:
        return Skip("the bound is too low")
    if not _keeps_shape(m, "bound", "beta", "divisor"):
        return Skip("a constant widens the shape, or may")
    if not m.has("beta"):
        return build.like(m.node("softplus"), m.value("x"))
    beta = m.uniform("beta")
    if beta is None or beta <= 0.0 or m.uniform("divisor") != beta:
        return Skip("the factor is not undone by the division")
    soft = build.like(m.node("softplus"), m.node("steep").outputs[0])
    return build.like(m.node("quotient"), soft, m.value("divisor"))
