"""Initial states of recurrent layers that are zero, as they are by default."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Skip, op, rule

from .._forms import input_of

_FIRST_STATE = 5


@rule(op("LSTM", "GRU", "RNN")("x", "w", "r", ...), exact=True)
def drop_zero_states(m: Match, build: Builder) -> Sequence[ir.Value | None] | Skip:
    """Leave out initial states of recurrent layers that are zero.

    A state that is left out is zero. Declines where no state is surely zero.

    Example: LSTM(x, w, r, b, , Expand(0.0, s), Expand(0.0, s)) -> LSTM(x, w, r, b)
    """
    inputs = list(m.root.inputs)
    zeros = [i for i in (_FIRST_STATE, _FIRST_STATE + 1) if _is_zero(m, input_of(m.root, i))]
    if not zeros:
        return Skip("no initial state is surely zero")
    for index in zeros:
        inputs[index] = None
    made = build.like(m.root, *inputs).producer()
    return [] if made is None else list(made.outputs)


def _is_zero(m: Match, value: ir.Value | None) -> bool:
    """Whether a value holds nothing but zeros, as a constant or as what fills a shape."""
    if value is None:
        return False
    if m.facts.const_tensor(value) is not None:
        return m.uniform(value) == 0
    node = value.producer()
    if node is None or node.domain != "":
        return False
    if node.op_type == "ConstantOfShape":
        filling = m.attr(node, "value")
        return filling is None or not filling.numpy().any()
    source = input_of(node, 0)
    if source is None or node.op_type not in ("Expand", "Tile", "Reshape"):
        return False
    return m.uniform(source) == 0
