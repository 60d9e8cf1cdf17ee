"""Gates of recurrent cells: what is computed of data and hidden state before the activation."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from onnxopt.analysis.facts import Facts

from .._identity import content_key, kind_key, quick_key
from ._channels import Array
from ._linear import Block, Linear, Shift, last_span, read_linear, through_cut


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

    def with_tensors(self, same: Callable[[ir.TensorProtocol], ir.TensorProtocol]) -> Gate:
        """Returns the gate with each tensor replaced by what stands for those equal to it."""

        def block(b: Block) -> Block:
            return replace(b, tensor=same(b.tensor))

        def shifts(of: tuple[Shift, ...]) -> tuple[Shift, ...]:
            return tuple(replace(s, tensor=same(s.tensor)) for s in of)

        data, hidden = block(self.data), block(self.hidden)
        return Gate(data, hidden, shifts(self.shifts), shifts(self.hidden_shifts), self.negated)

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
    cut = through_cut(facts, value, part)
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


class EqualTensors:
    """Finds one tensor for all that are equal, reading none unless another has its type and dims."""

    def __init__(self) -> None:
        self._of: dict[ir.TensorProtocol, ir.TensorProtocol] = {}
        self._kinds: dict[Hashable, list[ir.TensorProtocol]] = {}

    def one(self, tensor: ir.TensorProtocol) -> ir.TensorProtocol:
        """Returns the first tensor seen that is equal."""
        if tensor not in self._of:
            alike = self._kinds.setdefault(kind_key(tensor), [])
            self._of[tensor] = next((t for t in alike if _equal(t, tensor)), tensor)
            alike.append(tensor)
        return self._of[tensor]


def _equal(one: ir.TensorProtocol, other: ir.TensorProtocol) -> bool:
    return quick_key(one) == quick_key(other) and content_key(one) == content_key(other)
