"""Telling every node of a model apart, those inside of bodies too.

A node of the main graph is addressed by its name, or by its first result's where it has none of its own. One in a body is
addressed by the path to it, ``loop/body/node``: the node that holds the body, the attribute that the body is, the node.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import onnx_ir as ir

from .editor import where
from .scopes import owner


class Addresses:
    """The addresses of the nodes of the main graph and of the bodies in it; functions of the model are left out.

    Attributes:
        nodes: All of them; those of a body come before the node that holds it.
    """

    def __init__(self, model: ir.Model) -> None:
        self.nodes: list[ir.Node] = []
        self._paths: dict[ir.Graph, str] = {}
        self._holders: dict[ir.Graph, ir.Node] = {}
        self._operators = {node.op_type for node in model.graph.all_nodes()}
        self._labels: dict[ir.Node, str] = {}
        self._walk(model.graph, "")
        self._by_address = {self.of(node): node for node in self.nodes}

    def of(self, node: ir.Node) -> str:
        """The address of a node."""
        return f"{self._paths[owner(node)]}{self._labels[node]}"

    def path(self, graph: ir.Graph) -> str:
        """What stands before the names in a graph: ``''`` or ``loop/body/``."""
        return self._paths[graph]

    def holder(self, graph: ir.Graph | None) -> ir.Node | None:
        """The node in whose attribute a graph stands; None for the main graph."""
        return None if graph is None else self._holders.get(graph)

    def around(self, node: ir.Node) -> Iterator[ir.Node]:
        """Yields the nodes in whose bodies a node lies, the innermost first."""
        holder = self._holders.get(owner(node))
        while holder is not None:
            yield holder
            holder = self._holders.get(owner(holder))

    def find(self, name: str) -> list[ir.Node]:
        """The nodes that a user may mean.

        Args:
            name: An address, which means that node alone; else the name of nodes or of their results, or an operator,
                with or without the path of a body before it.
        """
        if name in self._by_address:
            return [self._by_address[name]]
        return [node for node in self.nodes if name in self.names(node)]

    def names(self, node: ir.Node) -> list[str]:
        """All that a node may be called."""
        path = self._paths[owner(node)]
        plain = [n for n in (node.name, node.op_type, *(v.name for v in node.outputs)) if n]
        return plain + [f"{path}{name}" for name in plain] if path else plain

    def _walk(self, graph: ir.Graph, path: str) -> None:
        self._paths[graph] = path
        taken = Counter(name for node in graph for name in _own_names(node))
        for node in graph:
            label = where(node)
            if (taken[label] > 1 or label in self._operators) and node.outputs:
                label = node.outputs[0].name or label
            self._labels[node] = label
            for name, body in bodies(node):
                self._holders[body] = node
                self._walk(body, f"{path}{label}/{name}/")
            self.nodes.append(node)


def bodies(node: ir.Node) -> Iterator[tuple[str, ir.Graph]]:
    """Yields the graphs in a node's attributes, each with what it is called there."""
    for name, attribute in node.attributes.items():
        if attribute.is_ref():
            continue
        if attribute.type == ir.AttributeType.GRAPH:
            yield name, attribute.as_graph()
        elif attribute.type == ir.AttributeType.GRAPHS:
            yield from ((f"{name}.{i}", graph) for i, graph in enumerate(attribute.as_graphs()))


def _own_names(node: ir.Node) -> set[str]:
    return {name for name in (node.name, *(v.name for v in node.outputs)) if name}
