"""Selections: known conditions, equal branches, negated conditions."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Match, Skip, op, rule

from .._forms import same_shape


@rule(op.Where(Const("c"), "a", "b"), exact=True)
def resolve_where(m: Match, build: Builder) -> ir.Value | Skip:
    """Take the branch of a selection whose condition is constant.

    Declines where the condition is mixed, and where the branch taken is smaller than the result.

    Example: Where(true, a, b) -> a
    """
    chosen = m.uniform("c")
    if chosen is None:
        return Skip("the condition is mixed")
    branch = m.value("a" if chosen else "b")
    if not same_shape(m, branch, m.root.outputs[0]):
        return Skip("the branch taken is broadcast, or may be")
    return branch


@rule(op.Where("c", "a", "a"), exact=True)
def merge_equal_branches(m: Match, build: Builder) -> ir.Value | Skip:
    """Remove a selection between a value and itself.

    Declines where the condition widens the shape.

    Example: Where(c, a, a) -> a
    """
    if not same_shape(m, m.value("a"), m.root.outputs[0]):
        return Skip("the condition widens the shape, or may")
    return m.value("a")


@rule(op.Where(op.Not("c", shared=True), "a", "b"), exact=True)
def where_not(m: Match, build: Builder) -> ir.Value:
    """Swap the branches of a selection instead of negating its condition.

    Example: Where(Not(c), a, b) -> Where(c, b, a)
    """
    return build.op("Where", m.value("c"), m.value("b"), m.value("a"))
