"""Activations out of their formulas: ``Softplus``, ``Softsign``, ``Mish``, ``Swish``, ``PRelu``."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Match, Skip, op, rule

from .._forms import broadcasts_into
from ._near import require_formula


@rule(op.Log(op.Add(op.Exp("x"), Const("one", near=1.0))))
def fuse_softplus(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse ``log(1 + exp(x))`` into ``Softplus``.

    Where ``exp(x)`` overflows the formula gives infinity and the operator gives ``x``, which is the true
    value; for very negative ``x`` the formula gives 0 and the operator a small number. Declines for double
    precision and for a constant that is not one.

    Example: Log(Add(Exp(x), 1)) -> Softplus(x)
    """
    require_formula(m, "x", {"one": 1.0})
    if m.uniform("one") != 1.0:
        return Skip("the constant is not one")
    return build.op("Softplus", m.value("x"))


@rule(op.Div("x", op.Add(op.Abs("x"), Const("one", near=1.0))))
def fuse_softsign(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse ``x / (1 + |x|)`` into ``Softsign``.

    Declines for double precision and for a constant that is not one.

    Example: Div(x, Add(Abs(x), 1)) -> Softsign(x)
    """
    require_formula(m, "x", {"one": 1.0})
    if m.uniform("one") != 1.0:
        return Skip("the constant is not one")
    return build.op("Softsign", m.value("x"))


@rule(op.Mul("x", op.Tanh(op.Softplus("x"))))
def fuse_mish(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse ``x * tanh(softplus(x))`` into ``Mish``.

    Declines before opset 18 and for double precision.

    Example: Mul(x, Tanh(Softplus(x))) -> Mish(x)
    """
    if m.opset() < 18:
        return Skip("Mish needs opset 18")
    require_formula(m, "x", {})
    return build.op("Mish", m.value("x"))


@rule(op.Mul("x", op.Sigmoid("x")), op.Mul("x", op.Sigmoid(op.Mul("x", Const("alpha")))))
def fuse_swish(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse ``x * sigmoid(alpha * x)`` into ``Swish``.

    Declines before opset 24, for double precision, and where ``alpha`` is not one number.

    Example: Mul(x, Sigmoid(x)) -> Swish(x)
    """
    if m.opset() < 24:
        return Skip("Swish needs opset 24")
    require_formula(m, "x", {})
    if not m.has("alpha"):
        return build.op("Swish", m.value("x"))
    alpha = m.uniform("alpha")
    if alpha is None or not broadcasts_into(m, m.value("alpha"), m.value("x")):
        return Skip("alpha is not one number, or widens the shape")
    return build.op("Swish", m.value("x"), alpha=alpha)


@rule(
    op.Add(op.Relu("x"), op.Mul(op.Relu(op.Neg("x")), Const("slope"))),
    op.Add(op.Relu("x"), op.Neg(op.Mul(op.Relu(op.Neg("x")), Const("slope")))),
    op.Sub(op.Relu("x"), op.Mul(op.Relu(op.Neg("x")), Const("slope"))),
)
def fuse_prelu(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse ``relu(x) + a * relu(-x)`` into ``PRelu`` with the slope ``-a``.

    Declines where the constant widens the shape, or may, and for double precision.

    Example: Add(Relu(x), Mul(Relu(Neg(x)), a)) -> PRelu(x, -a)
    """
    require_formula(m, "x", {})
    x, slope = m.value("x"), m.value("slope")
    if not broadcasts_into(m, slope, x):
        return Skip("the slope widens the shape, or may")
    subtracted = m.root.op_type == "Sub" or any(
        n.op_type == "Neg" and n.inputs[0] is not x for n in m.nodes()
    )
    if subtracted:
        return build.op("PRelu", x, slope)
    return build.op(
        "PRelu", x, build.const("slope", -m.const(slope).astype(np.float64), m.dtype(x))
    )


@rule(op.Max("x", op.Mul("x", Const("slope")), commutative=True))
def fuse_leaky_relu(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse ``max(x, a * x)`` with ``a`` between 0 and 1 into ``LeakyRelu``.

    Declines for other slopes, where the constant widens the shape, or may, and for double precision.

    Example: Max(x, Mul(x, 0.1)) -> LeakyRelu<alpha=0.1>(x)
    """
    require_formula(m, "x", {})
    slope = m.uniform("slope")
    if slope is None or not 0.0 <= slope <= 1.0:
        return Skip("the slope is not one number between 0 and 1")
    if not broadcasts_into(m, m.value("slope"), m.value("x")):
        return Skip("the slope widens the shape, or may")
    return build.op("LeakyRelu", m.value("x"), alpha=slope)
