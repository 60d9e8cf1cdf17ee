"""Which graph lies in which: the main graph, the bodies of If/Loop/Scan, and functions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

from ..analysis.effects import subgraphs


@dataclass(frozen=True)
class Scope:
    """A graph and where it lies.

    Attributes:
        graph: The graph itself.
        function: The model function it belongs to, None in the main graph and its subgraphs.
        parent: The graph of the node that holds it, None at the top.
    """

    graph: ir.Graph
    function: ir.Function | None
    parent: ir.Graph | None


def differentiates(model: ir.Model) -> bool:
    """Tells whether a model computes derivatives of itself, so that its own nodes are data to it.

    ``Gradient`` of ``ai.onnx.preview.training`` names the values between which it differentiates.
    """
    if "ai.onnx.preview.training" not in model.opset_imports:
        return False
    return any(node.op_type == "Gradient" for node in model.graph.all_nodes())


class Scopes:
    """The tree of graphs of a model, kept while it is edited."""

    def __init__(self, model: ir.Model) -> None:
        self._model = model
        self._by_graph: dict[ir.Graph, Scope] = {}
        self.refresh()

    def refresh(self) -> None:
        """Walks the model again."""
        self._by_graph.clear()
        self._walk(Scope(self._model.graph, None, None))
        for function in self._model.functions.values():
            self._walk(Scope(function.graph, function, None))

    def adopt(self, node: ir.Node) -> None:
        """Records the subgraphs of a node that has just been inserted."""
        if node.graph is None:
            return
        here = self.of(owner(node))
        for graph in subgraphs(node):
            self._walk(Scope(graph, here.function, here.graph))

    def forget(self, graph: ir.Graph) -> None:
        """Takes a graph out that was dropped together with its node."""
        self._by_graph.pop(graph, None)

    def _walk(self, top: Scope) -> None:
        stack = [top]
        while stack:
            scope = stack.pop()
            self._by_graph[scope.graph] = scope
            for node in scope.graph:
                for graph in subgraphs(node):
                    stack.append(Scope(graph, scope.function, scope.graph))

    def of(self, graph: ir.Graph) -> Scope:
        """Returns the scope of a graph of this model."""
        return self._by_graph[graph]

    def graphs(self) -> list[ir.Graph]:
        """Returns all graphs, outer ones before those inside them."""
        return list(self._by_graph)

    def ancestors(self, graph: ir.Graph) -> Iterator[ir.Graph]:
        """Yields ``graph`` and the graphs around it, innermost first."""
        current: ir.Graph | None = graph
        while current is not None:
            yield current
            current = self.of(current).parent


def owner(node: ir.Node) -> ir.Graph:
    """Returns the graph a node lies in; for a function's node, the function's own graph."""
    graph = node.graph
    if isinstance(graph, ir.Function):
        return graph.graph
    if graph is None:
        raise ValueError(f"node {node.name} lies in no graph")
    return graph


__all__ = ["Scope", "Scopes", "differentiates", "owner", "subgraphs"]
