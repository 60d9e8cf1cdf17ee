"""The net-bytes budget: rewrites together must not make the model bigger.

Each rewrite is charged for the constants it adds and credited for those it frees and for the nodes
it removes, with all that is inside them. A small allowance, over the whole model, lets through what
is worth it anyway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import onnx_ir as ir

from ..analysis.constants import constant_node_tensor
from .scopes import subgraphs
from .uses import use_count

_NODE_BYTES = 64
_BASE_ALLOWANCE = 4096
_SHARE = 100
# A constant this small weighs no more than the node that would compute it, and equal ones are merged.
_FREE_BYTES = 128


class Budget:
    """Bytes that rewrites may still add to a model.

    Args:
        model: The model; the allowance is 4 KiB and a hundredth of its weights.
    """

    def __init__(self, model: ir.Model) -> None:
        self.left = _BASE_ALLOWANCE + _held(model.graph) // _SHARE

    def growth(
        self,
        nodes: Sequence[ir.Node],
        constants: Iterable[ir.Value],
        origin: Sequence[ir.Node],
    ) -> int:
        """Returns by how many bytes a rewrite grows the model; negative where it shrinks it.

        Args:
            nodes: The nodes it adds.
            constants: The initializers it adds.
            origin: The nodes it removes.
        """
        gone = set(origin)
        reads = Counter(v for node in gone for v in node.inputs if v is not None)
        freed = [v for v, count in reads.items() if count == use_count(v) and _is_constant(v, gone)]
        sizes = [_nbytes(v) for v in constants]
        added = sum(s for s in sizes if s > _FREE_BYTES) + sum(_weight(n) for n in nodes)
        released = sum(_freed_bytes(v) for v in freed) + sum(_weight(n) for n in gone)
        return added - released

    def allows(self, growth: int) -> bool:
        """Tells whether the model may grow by so many bytes."""
        return growth <= max(self.left, 0)

    def spend(self, growth: int) -> None:
        """Charges growth. What a rewrite frees is a gain, not leave to grow elsewhere."""
        self.left -= max(growth, 0)


def _is_constant(value: ir.Value, gone: set[ir.Node]) -> bool:
    """Whether a value is a constant that holds bytes of its own, apart from nodes that go."""
    if value.is_graph_output() or value.is_graph_input():
        return False
    producer = value.producer()
    if producer is None:
        return value.const_value is not None
    return _makes_constant(producer) and producer not in gone


def _freed_bytes(value: ir.Value) -> int:
    producer = value.producer()
    return _nbytes(value) if producer is None else _weight(producer)


def _makes_constant(node: ir.Node) -> bool:
    return node.op_type == "Constant" and node.domain == ""


def _weight(node: ir.Node) -> int:
    """The bytes of a node: its own, those of a constant it holds, and those of its bodies."""
    total = _NODE_BYTES + sum(_held(graph) for graph in subgraphs(node))
    if _makes_constant(node):
        tensor = constant_node_tensor(node)
        total += 0 if tensor is None else int(tensor.nbytes)
    return total


def _held(graph: ir.Graph) -> int:
    return sum(_nbytes(v) for v in graph.initializers.values()) + sum(_weight(n) for n in graph)


def _nbytes(value: ir.Value) -> int:
    return 0 if value.const_value is None else int(value.const_value.nbytes)
