"""Shapes asked of a value whose shape is that of an earlier one."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Skip, op, rule

from .._forms import same_shape
from .._kinds import BINARY_ELEMENTWISE, SAME_SHAPE_AS_FIRST


@rule(
    op("Shape", "Size")(op(*SAME_SHAPE_AS_FIRST)("x", ..., shared=True)),
    exact=True,
)
def shape_of_input(m: Match, build: Builder) -> ir.Value:
    """Ask the shape of the input of an operator that keeps it.

    Equal shapes become the same value, and the operator need not run for its shape alone.

    Example: Shape(Relu(x)) -> Shape(x)
    """
    return build.like(m.root, m.value("x"))


@rule(op("Shape", "Size")(op(*BINARY_ELEMENTWISE)("a", "b", shared=True)), exact=True)
def shape_of_operand(m: Match, build: Builder) -> ir.Value | Skip:
    """Ask the shape of that operand of a broadcasting operator which has the result's.

    Declines where neither operand provably has it.

    Example: Shape(Add(x, 1.0)) -> Shape(x)
    """
    result = m.root.inputs[0]
    for name in ("a", "b"):
        value = m.value(name)
        constant = m.facts.const_tensor(value) is not None
        if result is not None and not constant and same_shape(m, value, result):
            return build.like(m.root, value)
    return Skip("no operand surely has the shape of the result")
