"""Which nodes make and read a value across the borders of bodies, where no edge of the graph tells."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from ..analysis.effects import subgraphs
from ..rewrite.addresses import Addresses
from ..rewrite.scopes import owner

_BEFORE_STATES = {"Loop": (2, 1), "Scan": (0, 0)}
"""How many inputs of a node and of its body, and how many outputs of the body, come before the states."""


def makers(value: ir.Value, addresses: Addresses) -> Iterator[ir.Node]:
    """The node that makes a value; for what a body takes, the node that holds the body."""
    maker = value.producer()
    if maker is None and isinstance(value.graph, ir.Graph):
        maker = addresses.holder(value.graph)
    if maker is not None:
        yield maker


def readers(value: ir.Value, addresses: Addresses) -> Iterator[ir.Node]:
    """The nodes that compute with a value, in the body that it is handed to and in the next iteration, too.

    Args:
        value: A value of the model.
        addresses: Knows which node holds which body.
    """
    seen: set[ir.Value] = set()
    pending = [value]
    while pending:
        current = pending.pop()
        if current in seen:
            continue
        seen.add(current)
        for user, index in current.uses():
            formal = _formal(user, index)
            if formal is not None:
                pending.append(formal)
            elif user.op_type not in _BEFORE_STATES:
                yield user
        pending += _handed_on(current, addresses)


def _formal(holder: ir.Node, index: int) -> ir.Value | None:
    """What a body calls an input of the node that holds it."""
    for body in subgraphs(holder):
        if holder.op_type in _BEFORE_STATES and index < len(holder.inputs):
            return body.inputs[index] if index < len(body.inputs) else None
    return None


def _handed_on(value: ir.Value, addresses: Addresses) -> Iterator[ir.Value]:
    """What a value that a body returns is called outside, and in the next iteration."""
    maker = value.producer()
    graph = owner(maker) if maker is not None else value.graph
    holder = addresses.holder(graph) if isinstance(graph, ir.Graph) else None
    if holder is None or graph is None:
        return
    before, first = _BEFORE_STATES.get(holder.op_type, (0, 0))
    for index, returned in enumerate(graph.outputs):
        if returned is not value or index < first:
            continue
        yield holder.outputs[index - first]
        if index - first < _states(holder):
            yield graph.inputs[index - first + before]


def _states(holder: ir.Node) -> int:
    """How many values a node hands from one iteration to the next."""
    if holder.op_type == "Loop":
        return len(holder.inputs) - 2
    if holder.op_type == "Scan":
        return len(holder.inputs) - holder.attributes["num_scan_inputs"].as_int()
    return 0
