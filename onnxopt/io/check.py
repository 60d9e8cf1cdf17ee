"""Structural soundness of a model in memory, in time linear in its size.

What ``onnx.checker`` would add (operator schemas, attribute types) costs it a serialised model with all
weights, and it refuses operators and IR versions it does not know; so it is not used here.
"""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir

from onnxopt.errors import ModelError
from onnxopt.io.order import cycle_message, describe, sort_nodes, subgraphs
from onnxopt.io.text import printable


def check_structure(model: ir.Model, where: str = "model") -> None:
    """Check that a model is well-formed: names, definitions before uses, no cycles, operator sets.

    Args:
        model: The model; nothing is changed, and no weight is read.
        where: What to call the model in messages, such as its path.

    Raises:
        ModelError: At the first fault, naming the node or value.
    """
    checker = _Checker(where)
    checker.graph(model.graph, [])
    checker.opsets(model.graph.opset_imports)
    for function in model.functions.values():
        checker.default_domain = False
        checker.graph(function.graph, [])
        checker.opsets(function.opset_imports)


class _Checker:
    def __init__(self, where: str) -> None:
        self.where = where
        self.default_domain = False

    def error(self, cause: str) -> ModelError:
        return ModelError(printable(f"{self.where}: {cause}"))

    def opsets(self, imports: dict[str, int]) -> None:
        if self.default_domain and "" not in imports and "ai.onnx" not in imports:
            raise self.error("it uses ONNX operators but does not import their operator set")

    def graph(self, graph: ir.Graph, outer: list[set[ir.Value]]) -> None:
        """Check a graph; ``outer`` are the values that it may read from around it."""
        names: set[str] = set()
        defined: set[ir.Value] = set()
        scopes = [defined, *outer]
        self._define(graph.inputs, "a graph input", names, defined)
        weights = [v for v in graph.initializers.values() if not v.is_graph_input()]
        self._define(weights, "an initializer", names, defined)
        for node in graph:
            self._node(node, graph, scopes)
            self._define([v for v in node.outputs if v.name], describe(node), names, defined)
        for value in graph.outputs:
            if value not in defined:
                raise self.error(f"graph output '{value.name}' is not defined in the graph")

    def _define(
        self, values: Iterable[ir.Value], what: str, names: set[str], defined: set[ir.Value]
    ) -> None:
        for value in values:
            if not value.name:
                raise self.error(f"{what} has a value without a name")
            if value.name in names:
                raise self.error(f"{what} defines '{value.name}', which is already defined")
            names.add(value.name)
            defined.add(value)

    def _node(self, node: ir.Node, graph: ir.Graph, scopes: list[set[ir.Value]]) -> None:
        if not node.op_type:
            raise self.error(f"{describe(node)} has no op_type")
        if not node.domain:
            self.default_domain = True
        for value in node.inputs:
            if value is not None and not any(value in scope for scope in scopes):
                raise self.error(self._undefined(node, value, graph))
        for subgraph in subgraphs(node):
            self.graph(subgraph, scopes)

    def _undefined(self, node: ir.Node, value: ir.Value, graph: ir.Graph) -> str:
        producer = value.producer()
        if producer is not None and producer.graph is graph:
            cycle = sort_nodes(list(graph))[1]
            if cycle:
                return cycle_message(cycle)
            return f"{describe(node)} comes before {describe(producer)}, whose result it reads"
        return f"{describe(node)} reads '{value.name}', which nothing defines"
