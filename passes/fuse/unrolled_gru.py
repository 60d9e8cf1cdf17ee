"""``GRU`` out of its unrolled steps, as torch exports a loop over ``GRUCell``.

A step is ``h' = (1 - z) n + z h`` with ``z = sigmoid(Wz x + Rz h + bz)`` and ``r`` alike; the candidate ``n`` is
``tanh(Wn x + bn + r (Rn h + dn))`` where the reset gate comes after the product (torch, ``linear_before_reset=1``) and
``tanh(Wn x + Rn (r h) + bn)`` where it comes before (the original). Both are told apart, and so is which of both states
``z`` keeps: where it keeps the candidate, the gate is negated, since ``1 - sigmoid(a) = sigmoid(-a)``. The blend is also
read from ``n + z (h - n)``. Source: https://onnx.ai/onnx/operators/onnx__GRU.html.

Declines where a step's input depends on the result of an earlier one, and where a gate is read by others. Other
activations, weights that differ between steps and a state that is changed between them are no sequence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from onnxopt.analysis.facts import Facts
from onnxopt.pipeline.base import Context, Pass
from onnxopt.rewrite import op
from onnxopt.rewrite.matcher import Matcher

from ._gates import Gate, activated, gate_of
from ._linear import Linear, last_span, read_linear
from ._unrolled import Cell, Step, fuse_unrolled, number_throughout

_BLENDS = (
    op.Add(op.Mul(op.Sub(1.0, "z"), "off"), op.Mul("z", "on")),
    op.Add("off", op.Mul("z", op.Sub("on", "off"))),
)
_RESET = op.Mul("r", "kept")


@dataclass(frozen=True)
class FuseUnrolledGru(Pass):
    """Fuses unrolled steps into ``GRU``."""

    name: ClassVar[str] = "fuse-unrolled-gru"
    summary: ClassVar[str] = "Fuse the unrolled steps of a GRU that share their weights into one."
    exact: ClassVar[bool] = False

    def run(self, context: Context) -> int:
        """Fuses every sequence, in every graph; returns how many."""
        return fuse_unrolled(context, self.name, Cell("GRU", "Add", 1, _read))


@dataclass(frozen=True)
class _Blend:
    """What a node makes of the hidden state and a candidate.

    Attributes:
        update: The update gate before its activation.
        negated: Whether the update gate keeps the candidate, not the hidden state.
        candidate: The candidate before its activation.
        hidden: The hidden state that goes in.
    """

    update: Linear
    negated: bool
    candidate: Linear
    hidden: ir.Value


@dataclass(frozen=True)
class _Reset:
    """How a candidate depends on the hidden state.

    Attributes:
        gate: The candidate as a gate.
        reset: The reset gate before its activation.
        after_product: Whether the reset gate comes after the product with the hidden state.
        nodes: The nodes read.
    """

    gate: Gate
    reset: Linear
    after_product: bool
    nodes: tuple[ir.Node, ...]


def _read(facts: Facts, node: ir.Node) -> Iterator[Step]:
    for pattern in _BLENDS:
        for bindings in Matcher(facts).match(pattern, node):
            values = {name: value for name, value in bindings.values.items() if value is not None}
            nodes = [n for n, _ in bindings.inner]
            for blend in _blends(facts, values):
                step = _step(facts, node.outputs[0], blend, nodes)
                if step is not None:
                    yield step


def _blends(facts: Facts, values: dict[str, ir.Value]) -> Iterator[_Blend]:
    update = activated(facts, values["z"], "Sigmoid")
    if update is None:
        return
    for name, other in (("off", "on"), ("on", "off")):
        candidate = activated(facts, values[name], "Tanh")
        if candidate is not None:
            yield _Blend(update, name == "on", candidate, values[other])


def _step(facts: Facts, result: ir.Value, blend: _Blend, nodes: list[ir.Node]) -> Step | None:
    data, hidden = _data_and_hidden(facts, blend)
    if data is None or hidden is None:
        return None
    candidate = _candidate(facts, blend.candidate, data, hidden)
    if candidate is None:
        return None
    update = gate_of(blend.update, data, hidden, negated=blend.negated)
    reset = gate_of(candidate.reset, data, hidden)
    if update is None or reset is None:
        return None
    read = (blend.update, blend.candidate, candidate.reset)
    nodes = [*nodes, *(n for linear in read for n in linear.nodes), *candidate.nodes]
    attributes = (("linear_before_reset", int(candidate.after_product)),)
    return Step(
        data,
        (hidden,),
        (result,),
        (update, reset, candidate.gate),
        attributes,
        tuple(dict.fromkeys(nodes)),
    )


def _data_and_hidden(facts: Facts, blend: _Blend) -> tuple[ir.Value | None, ir.Value | None]:
    """Tells the two values apart that the update gate multiplies."""
    found = [value for value, _ in blend.update.products]
    hidden = [v for v in found if _same_state(facts, v, blend.hidden)]
    data = [v for v in found if v not in hidden]
    return (data[0], hidden[0]) if len(data) == len(hidden) == 1 else (None, None)


def _same_state(facts: Facts, value: ir.Value, other: ir.Value) -> bool:
    """Whether two values are the same state; an initial state of zeros may be written in several ways."""
    if value is other:
        return True
    return number_throughout(facts, value) == 0 and number_throughout(facts, other) == 0


def _candidate(facts: Facts, linear: Linear, data: ir.Value, hidden: ir.Value) -> _Reset | None:
    if len(linear.products) == 2:
        return _reset_before(facts, linear, data, hidden)
    if len(linear.products) == 1 and len(linear.others) == 1:
        return _reset_after(facts, linear, data, hidden)
    return None


def _reset_before(facts: Facts, linear: Linear, data: ir.Value, hidden: ir.Value) -> _Reset | None:
    """Reads ``W x + R (r h) + b``."""
    for value, _ in linear.products:
        for reset, kept, node in _resets(facts, value):
            gate = gate_of(linear, data, value)
            if gate is not None and _same_state(facts, kept, hidden):
                return _Reset(gate, reset, False, (node,))
    return None


def _reset_after(facts: Facts, linear: Linear, data: ir.Value, hidden: ir.Value) -> _Reset | None:
    """Reads ``W x + b + r (R h + d)``."""
    value, part = linear.others[0]
    weight = linear.of(data)
    if part != last_span(facts, value) or weight is None:
        return None
    for reset, kept, node in _resets(facts, value):
        if last_span(facts, kept) != part:
            continue
        product = read_linear(facts, kept, part)
        recurrent = product.of(hidden)
        if recurrent is not None and len(product.products) == 1 and not product.others:
            gate = Gate(weight, recurrent, tuple(linear.shifts), tuple(product.shifts))
            return _Reset(gate, reset, True, (node, *product.nodes))
    return None


def _resets(facts: Facts, value: ir.Value) -> Iterator[tuple[Linear, ir.Value, ir.Node]]:
    """Yields reset gates that a value may be the product with, what they reset, and the node."""
    node = value.producer()
    if node is None:
        return
    for bindings in Matcher(facts).match(_RESET, node):
        gate, kept = bindings.values["r"], bindings.values["kept"]
        reset = None if gate is None else activated(facts, gate, "Sigmoid")
        if reset is not None and kept is not None:
            yield reset, kept, node
