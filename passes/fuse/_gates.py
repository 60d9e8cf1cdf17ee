"""Gates of recurrent cells: what is computed of data and hidden state before the activation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from onnxopt.analysis.facts import Facts

from ._channels import Array
from ._linear import Block, Linear, Shift, last_span, read_linear, through_split


@dataclass(frozen=True)
class Gate:
    """What is computed of data and hidden state before the activation.

    Attributes:
        data: The matrix that the data are multiplied by.
        hidden: The matrix that the hidden state is multiplied by.
        shifts: What is added.
        hidden_shifts: What is added to the product with the hidden state alone.
        negated: Whether the operator wants the opposite of it.
    """

    data: Block
    hidden: Block
    shifts: tuple[Shift, ...]
    hidden_shifts: tuple[Shift, ...] = ()
    negated: bool = False

    @property
    def size(self) -> int:
        """The size of the hidden state."""
        return self.hidden.outputs.size

    def weight(self, block: Block) -> Array:
        """Reads a weight as the operator wants it."""
        return -block.read() if self.negated else block.read()

    def bias(self, shifts: Sequence[Shift]) -> Array:
        """Sums what is added, as the operator wants it, in double precision."""
        total = sum((s.read() for s in shifts), np.zeros(self.size))
        return -total if self.negated else total


def activated(facts: Facts, value: ir.Value, op_type: str) -> Linear | None:
    """Reads what goes into an activation, which may be cut out of that of several gates.

    Returns:
        The sum, with the activation's nodes among its own; None where ``value`` is no result of ``op_type``.
    """
    part = last_span(facts, value)
    if part is None:
        return None
    nodes = []
    cut = through_split(facts, value, part)
    if cut is not None:
        split, value, part = cut
        nodes.append(split)
    node = value.producer()
    if node is None or node.domain != "" or node.op_type != op_type or node.inputs[0] is None:
        return None
    found = read_linear(facts, node.inputs[0], part)
    found.nodes[:0] = [*nodes, node]
    return found


def sources(gates: Sequence[Linear]) -> list[tuple[ir.Value, ir.Value]]:
    """Returns the two values that all gates multiply, in both orders; nothing where there are not exactly two."""
    seen = dict.fromkeys(value for gate in gates for value, _ in gate.products)
    if len(seen) != 2:
        return []
    first, second = seen
    return [(first, second), (second, first)]


def gate_of(
    linear: Linear, data: ir.Value, hidden: ir.Value, *, negated: bool = False
) -> Gate | None:
    """Takes a sum for a gate, where it is one product of each value and constants."""
    left, right = linear.of(data), linear.of(hidden)
    if left is None or right is None or len(linear.products) != 2 or linear.others:
        return None
    return Gate(left, right, tuple(linear.shifts), negated=negated)
