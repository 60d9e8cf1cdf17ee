"""Operators that do nothing the second time, and pairs that undo each other."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, op, rule

_ROUNDING = ("Ceil", "Floor", "Round")


@rule(
    op.Relu(op.Relu("x", bind="inner", shared=True)),
    op.Abs(op.Abs("x", bind="inner", shared=True)),
    op.Sign(op.Sign("x", bind="inner", shared=True)),
    op(*_ROUNDING)(op(*_ROUNDING)("x", bind="inner", shared=True)),
    exact=True,
)
def remove_repeated(m: Match, build: Builder) -> ir.Value:
    """Remove the second of two operators of which one is enough.

    Holds for ``Relu``, ``Abs``, ``Sign``, and for any of ``Ceil``, ``Floor``, ``Round`` after any of them, since
    what they give is whole.

    Example: Relu(Relu(x)) -> Relu(x)
    """
    return m.node("inner").outputs[0]


@rule(
    op.Not(op.Not("x", shared=True)),
    op.Neg(op.Neg("x", shared=True)),
    op.BitwiseNot(op.BitwiseNot("x", shared=True)),
    exact=True,
)
def remove_double_negation(m: Match, build: Builder) -> ir.Value:
    """Remove a negation of a negation.

    Example: Not(Not(x)) -> x
    """
    return m.value("x")


@rule(op.Abs(op.Neg("x", shared=True)), exact=True)
def abs_of_neg(m: Match, build: Builder) -> ir.Value:
    """Drop a change of sign that an absolute value follows.

    Example: Abs(Neg(x)) -> Abs(x)
    """
    return build.op("Abs", m.value("x"))
