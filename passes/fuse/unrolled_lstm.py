"""``LSTM`` out of its unrolled steps, as torch exports a loop over ``LSTMCell``.

A step is ``c' = sigmoid(f) c + sigmoid(i) tanh(g)``, ``h' = sigmoid(o) tanh(c')``, where each of the gates ``i, f, g,
o`` is a sum ``W x + R h + b``, in whatever spelling. Four steps or more that share their weights, each fed with what the
one before made, become one operator, whose gates come in the order ``i, o, f, g``. Source:
https://onnx.ai/onnx/operators/onnx__LSTM.html.

Declines where a step's input depends on the result of an earlier one, and where an inner state or a gate is read by
others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from onnxopt.analysis.facts import Facts
from onnxopt.pipeline.base import Context, Pass
from onnxopt.rewrite import op
from onnxopt.rewrite.matcher import Bindings, Matcher

from ._gates import activated, gate_of, sources
from ._unrolled import Cell, Step, fuse_unrolled

_STATE = op.Add(op.Mul("f", "c"), op.Mul("i", "g"), bind="state")
_STEP = op.Mul("o", op.Tanh(_STATE), bind="step")
_GATES = {"i": "Sigmoid", "o": "Sigmoid", "f": "Sigmoid", "g": "Tanh"}
"""The gates in the operator's order, with their activations."""


@dataclass(frozen=True)
class FuseUnrolledLstm(Pass):
    """Fuses unrolled steps into ``LSTM``."""

    name: ClassVar[str] = "fuse-unrolled-lstm"
    summary: ClassVar[str] = "Fuse the unrolled steps of an LSTM that share their weights into one."
    exact: ClassVar[bool] = False

    def run(self, context: Context) -> int:
        """Fuses every sequence, in every graph; returns how many."""
        return fuse_unrolled(context, self.name, Cell("LSTM", "Mul", 1, _read))


def _read(facts: Facts, node: ir.Node) -> Iterator[Step]:
    for bindings in Matcher(facts).match(_STEP, node):
        yield from _steps(facts, bindings)


def _steps(facts: Facts, bindings: Bindings) -> Iterator[Step]:
    state, cell_state = bindings.nodes["state"].outputs[0], bindings.values["c"]
    read = []
    for name, activation in _GATES.items():
        value = bindings.values[name]
        linear = None if value is None else activated(facts, value, activation)
        if linear is None:
            return
        read.append(linear)
    nodes = dict.fromkeys([*(n for n, _ in bindings.inner), *(n for g in read for n in g.nodes)])
    # Only the next step tells which of both is the hidden state.
    for data, hidden in sources(read):
        gates = [gate for linear in read if (gate := gate_of(linear, data, hidden)) is not None]
        if len(gates) == len(read) and cell_state is not None:
            after = (bindings.nodes["step"].outputs[0], state)
            yield Step(data, (hidden, cell_state), after, tuple(gates), (), tuple(nodes))
