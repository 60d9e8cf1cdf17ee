"""The net-bytes budget: rewrites together must not make the model bigger.

Each rewrite is charged for the constants it adds and credited for those it frees and for the nodes
it removes. A small allowance, over the whole model, lets through what is worth it anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx_ir as ir

_NODE_BYTES = 64
_BASE_ALLOWANCE = 4096
_SHARE = 1000


class Budget:
    """Bytes that rewrites may still add to a model.

    Args:
        model: The model; the allowance is 4 KiB and a thousandth of its weights.
    """

    def __init__(self, model: ir.Model) -> None:
        weights = sum(
            v.const_value.nbytes
            for v in model.graph.initializers.values()
            if v.const_value is not None
        )
        self.left = _BASE_ALLOWANCE + weights // _SHARE

    def growth(
        self,
        nodes: Sequence[ir.Node],
        constants: Iterable[ir.Value],
        origin: Sequence[ir.Node],
    ) -> int:
        """Returns by how many bytes a rewrite grows the model; negative where it shrinks it."""
        gone = set(origin)
        freed: set[ir.Value] = set()
        for node in gone:
            freed.update(v for v in node.inputs if v is not None and _is_freed(v, gone))
        added = sum(_nbytes(v) for v in constants)
        released = sum(_nbytes(v) for v in freed)
        return added - released + _NODE_BYTES * (len(nodes) - len(gone))

    def allows(self, growth: int) -> bool:
        """Tells whether the model may grow by so many bytes."""
        return growth <= max(self.left, 0)

    def spend(self, growth: int) -> None:
        """Charges growth. What a rewrite frees is a gain, not leave to grow elsewhere."""
        self.left -= max(growth, 0)


def _is_freed(value: ir.Value, gone: set[ir.Node]) -> bool:
    if value.const_value is None or value.is_graph_output() or value.is_graph_input():
        return False
    return all(node in gone for node, _ in value.uses())


def _nbytes(value: ir.Value) -> int:
    return 0 if value.const_value is None else int(value.const_value.nbytes)
