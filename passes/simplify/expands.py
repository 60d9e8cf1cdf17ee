"""Broadcasts that the operator after them does by itself."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.analysis.dims import Dim, broadcast
from onnxopt.rewrite import Builder, Match, Op, Skip, op, rule

from .._kinds import BINARY_ELEMENTWISE


def _widened(name: str) -> Op:
    return op.Expand(name, ..., bind=f"expand_{name}", shared=True)


def joint_shape(shapes: list[tuple[Dim, ...]]) -> list[Dim] | None:
    """Returns the shape that values of these shapes broadcast to, None where it is not known."""
    rank = max(len(shape) for shape in shapes)
    result: list[Dim] = [1] * rank
    for shape in shapes:
        for i, dim in enumerate(shape, rank - len(shape)):
            joint = broadcast(result[i], dim)
            if joint is None:
                return None
            result[i] = joint
    return result


@rule(
    op(*BINARY_ELEMENTWISE)(_widened("a"), _widened("b"), commutative=False),
    op(*BINARY_ELEMENTWISE)(_widened("a"), "b", commutative=False),
    op(*BINARY_ELEMENTWISE)("a", _widened("b"), commutative=False),
    exact=True,
)
def skip_expand_before_binary(m: Match, build: Builder) -> ir.Value | Skip:
    """Leave the broadcast to the elementwise operator that reads it.

    Declines where the result would be smaller without the ``Expand``, or may.

    Example: Add(Expand(float[1,3] x, [4,3]), float[4,3] y) -> Add(x, y)
    """
    inputs = [m.value("a"), m.value("b")]
    if joint_shape([m.shape(v) for v in inputs]) != list(m.shape(m.root.outputs[0])):
        return Skip("the broadcast widens the result, or may")
    return build.like(m.root, *inputs)


@rule(
    op.Where(_widened("a"), "b", "c"),
    op.Where("a", _widened("b"), "c"),
    op.Where("a", "b", _widened("c")),
    exact=True,
)
def skip_expand_before_where(m: Match, build: Builder) -> ir.Value | Skip:
    """Leave the broadcast of a condition or branch to the selection that reads it.

    Declines where the result would be smaller without the ``Expand``, or may.

    Example: Where(Expand(bool[1,3] c, [4,3]), float[4,3] x, float[4,3] y) -> Where(c, x, y)
    """
    inputs = [m.value("a"), m.value("b"), m.value("c")]
    if joint_shape([m.shape(v) for v in inputs]) != list(m.shape(m.root.outputs[0])):
        return Skip("the broadcast widens the result, or may")
    return build.like(m.root, *inputs)
