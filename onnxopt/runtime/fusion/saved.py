"""The graph that the runtime saved, and finding in it what a node of the model became.

What is fused mostly keeps the name of the operator fused around: ``conv`` becomes a QLinearConv ``conv``, or
``conv_token_1`` where the runtime makes a name new. Where it does not, the result of the fused operators keeps its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import onnx_ir as ir

from .kernels import CARRIERS, CONVERSIONS, is_integer
from .kinds import Kinds

_ADDED = re.compile(r"(_token_\d+|/MatMulAddFusion|/duplicated|_nchwc)$")
_PREFIX = "fused "
_FURTHEST = 8


class Saved:
    """A graph that the runtime saved.

    Args:
        model: that graph.
        source: the model it was made from.
    """

    def __init__(self, model: ir.Model, source: ir.Model) -> None:
        self.nodes = list(model.graph.all_nodes())
        self.kinds = Kinds(self.nodes)
        self._known = {node.name for node in source.graph.all_nodes() if node.name}
        self._by_name: dict[str, list[ir.Node]] = {}
        self._by_output: dict[str, ir.Node] = {}
        for node in self.nodes:
            self._by_name.setdefault(self._origin(node), []).append(node)
            self._by_output.update((v.name, node) for v in node.outputs if v.name)

    def find(self, node: ir.Node) -> ir.Node | None:
        """What a node of the model became; None where nothing stands for it."""
        named = self._by_name.get(node.name or "", [])
        alike = [found for found in named if found.op_type not in CONVERSIONS]
        if alike:
            return max(alike, key=self.in_integers)
        for value in chain(node):
            found = self._by_output.get(value.name or "")
            if found is None or found.op_type in CONVERSIONS:
                continue
            if self._origin(found) not in self._known or is_integer(found):
                return found
        return None

    def in_integers(self, node: ir.Node) -> bool:
        """Whether a node of this graph computes in integers."""
        if is_integer(node):
            return True
        carried = node.op_type in CARRIERS or node.op_type in ("ArgMax", "Where")
        return carried and self.kinds.of_data(node) == "quantised"

    def in_float(self, node: ir.Node) -> bool:
        """Whether a node of this graph computes in float."""
        if self.in_integers(node) or node.op_type in CONVERSIONS:
            return False
        return self.kinds.of_data(node) == "float"

    def _origin(self, node: ir.Node) -> str:
        """The name of the node of the model that a node stands for."""
        name = node.name or ""
        while name not in self._known:
            shorter = _ADDED.sub("", name.removeprefix(_PREFIX))
            if shorter == name:
                break
            name = shorter
        return name


def chain(node: ir.Node) -> Iterator[ir.Value]:
    """The results of a node, then of the only operator that reads the result, and so on."""
    yield from node.outputs
    value = node.outputs[0]
    for _ in range(_FURTHEST):
        readers = list(value.uses())
        if len(readers) != 1 or value.is_graph_output():
            return
        value = readers[0].node.outputs[0]
        yield value
