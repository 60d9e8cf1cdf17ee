"""Uses of values, in constant time.

``ir.Value.uses()`` copies the whole collection at every call, which makes a graph whose nodes share
one value quadratic; these look at the collection itself.
"""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir


def use_count(value: ir.Value) -> int:
    """Returns how many node inputs read ``value``, those in subgraphs included."""
    return len(value._uses)


def is_dead(node: ir.Node) -> bool:
    """Tells whether nothing reads a node's outputs."""
    return not any(use_count(v) or v.is_graph_output() for v in node.outputs)


def has_one_use(value: ir.Value) -> bool:
    """Tells whether exactly one node input reads ``value`` and no graph returns it."""
    return use_count(value) == 1 and not value.is_graph_output()


def read_only_by(value: ir.Value, nodes: Iterable[ir.Node]) -> bool:
    """Tells whether ``nodes``, all different, hold all uses of ``value``.

    Counts what they read rather than looking through the uses, which may be very many.
    """
    return sum(v is value for node in nodes for v in node.inputs) == use_count(value)
