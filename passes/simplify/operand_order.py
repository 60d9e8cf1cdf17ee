"""One order for the operands of commutative operators: a constant comes second."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Match, Skip, op, rule

_TYPES = ("Add", "Mul", "And", "Or", "Xor", "Equal", "BitwiseAnd", "BitwiseOr", "BitwiseXor")


@rule(op(*_TYPES)(Const("c"), "x", commutative=False), exact=True)
def constant_second(m: Match, build: Builder) -> ir.Value | Skip:
    """Put the constant operand of a commutative operator second.

    No node is saved; equal computations become equal in spelling, and patterns need one order. Declines where both
    are constant: that folds.

    Example: Mul(2.0, x) -> Mul(x, 2.0)
    """
    if m.facts.const_tensor(m.value("x")) is not None:
        return Skip("both are constant")
    return build.op(m.root.op_type, m.value("x"), m.value("c"))
