"""Activations out of their formulas: ``Softsign``, ``Mish``, ``LeakyRelu``.

``Softplus``, ``Swish`` and ``PRelu`` are left as formulas on purpose: onnxruntime's CPU kernels for them take
two to ten times as long as the operators they would stand for. So is ``Mish`` with its softplus written as
``log(1 + exp(x))``: the formula takes 0.6 ms where the operator takes 2.3 ms (200,000 numbers, two threads).
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Match, Skip, op, rule

from .._forms import broadcasts_into
from ._near import require_formula


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


_NEGATIVE = op.Mul(op.Relu(op.Neg("x")), Const("slope"))


@rule(
    op.Max("x", op.Mul("x", Const("slope")), commutative=True),
    op.Sub(op.Relu("x"), _NEGATIVE),
    op.Add(op.Relu("x"), op.Neg(_NEGATIVE)),
)
def fuse_leaky_relu(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse ``max(x, a * x)`` or ``relu(x) - a * relu(-x)`` into ``LeakyRelu``.

    Declines for slopes that differ between elements, for slopes outside of [0, 1] (where the maximum is
    another function), where the constant widens the shape, or may, and for double precision.

    Example: Max(x, Mul(x, 0.1)) -> LeakyRelu<alpha=0.1>(x)
    """
    require_formula(m, "x", {})
    slope = m.uniform("slope")
    if slope is None or not 0.0 <= slope <= 1.0:
        return Skip("the slope is not one number between 0 and 1")
    if not broadcasts_into(m, m.value("slope"), m.value("x")):
        return Skip("the slope widens the shape, or may")
    return build.op("LeakyRelu", m.value("x"), alpha=slope)


@rule(op.PRelu("x", Const("slope")))
def prelu_to_leaky_relu(m: Match, build: Builder) -> ir.Value | Skip:
    """Replace ``PRelu`` with one slope for all elements by ``LeakyRelu``, which runtimes compute faster.

    Declines for slopes that differ between elements, and for double precision and integers.

    Example: PRelu(x, 0.25) -> LeakyRelu<alpha=0.25>(x)
    """
    require_formula(m, "x", {})
    slope = m.uniform("slope")
    if slope is None:
        return Skip("the slope is not one number")
    return build.op("LeakyRelu", m.value("x"), alpha=slope)
