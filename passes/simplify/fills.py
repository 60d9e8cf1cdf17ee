"""Constants of a computed shape that the operator after them would broadcast by itself."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Op, Skip, op, rule

from .._kinds import BINARY_ELEMENTWISE
from .expands import joint_shape

_FILL = op.ConstantOfShape("target", bind="fill", shared=True)
_BINARY = op(*BINARY_ELEMENTWISE)


def _patterns() -> tuple[Op, ...]:
    return (
        _BINARY(_FILL, "other", commutative=False),
        _BINARY("other", _FILL, commutative=False),
        op.Where("other", _FILL, "another"),
        op.Where("other", "another", _FILL),
    )


@rule(*_patterns(), exact=True)
def skip_fill(m: Match, build: Builder) -> ir.Value | Skip:
    """Use one number in place of a tensor filled with it, where the operator that reads it broadcasts.

    torch's ``zeros_like`` and ``ones_like`` of data with dims that are not known are written so. Declines where the
    result would be smaller without the fill, or may.

    Example: Where(c, x, ConstantOfShape<value=0>(Shape(x))) -> Where(c, x, 0)
    """
    fill = m.node("fill")
    others = [v for v in m.root.inputs if v is not None and v is not fill.outputs[0]]
    wanted = list(m.shape(m.root.outputs[0]))
    if not others or joint_shape([m.shape(v) for v in others]) != wanted:
        return Skip("the fill widens the result, or may")
    tensor = m.attr(fill, "value", None)
    number = np.zeros((), np.float32) if tensor is None else tensor.numpy().reshape(())
    dtype = None if tensor is None else tensor.dtype
    scalar = build.const("value", number, dtype)
    inputs = [scalar if v is fill.outputs[0] else v for v in m.root.inputs]
    return build.like(m.root, *inputs)
