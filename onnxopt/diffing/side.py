"""One of the two models, with what the comparison asks of it again and again."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping

import onnx_ir as ir

from onnxopt.analysis.constants import constant_of
from onnxopt.analysis.dims import free_symbols
from onnxopt.analysis.facts import Facts
from onnxopt.io.carry import sparse_tensor

from .contents import Contents
from .result import Place
from .signature import attributes, bodies, op_name, operator, result_count

Sign = tuple[Hashable, ...]


class Side:
    """A model to compare.

    Args:
        model: The model; it is not changed.
        contents: Numbers of contents, shared by both models.
    """

    def __init__(self, model: ir.Model, contents: Contents) -> None:
        self.model = model
        self.contents = contents
        self.facts = Facts(model)
        self.ports: dict[ir.Value, Hashable] = {}
        """What stands for an input of the main graph in both models."""
        self.symbols: frozenset[str] = frozenset()
        """Names of dims that mean the same in both models."""
        self._signs: dict[ir.Node, Sign] = {}
        self._attributes: dict[ir.Node, dict[str, Hashable]] = {}
        self._constants: dict[ir.Value, ir.TensorProtocol | None] = {}
        self._known: dict[ir.Value, Hashable] = {}
        self._computing: dict[ir.Graph, list[ir.Node]] = {}
        self._scopes = _scopes(model)

    def attributes(self, node: ir.Node) -> dict[str, Hashable]:
        """Returns a node's attributes that are neither graphs nor defaults."""
        found = self._attributes.get(node)
        if found is None:
            version = self.facts.opset(node, node.domain)
            found = attributes(node, version, self.contents)
            self._attributes[node] = found
        return found

    def sign(self, node: ir.Node) -> Sign:
        """Returns operator, attributes and number of results."""
        found = self._signs.get(node)
        if found is None:
            count = result_count(node, self.facts.opset(node, node.domain))
            stated = tuple(sorted(self.attributes(node).items(), key=lambda item: item[0]))
            found = (operator(node), stated, count)
            self._signs[node] = found
        return found

    def constant(self, value: ir.Value) -> ir.TensorProtocol | None:
        """Returns the tensor that a value always is; None for what is computed or given."""
        if value not in self._constants:
            self._constants[value] = constant_of(value)
        return self._constants[value]

    def sparse(self, value: ir.Value) -> Hashable:
        """Returns the sparse tensor that a value always is, or None."""
        return sparse_tensor(value) if value.producer() is None else None

    def known(self, value: ir.Value) -> Hashable:
        """Returns what a small integer tensor holds, in numbers and in dims that both models name; else None."""
        if value not in self._known:
            self._known[value] = self._holds(value)
        return self._known[value]

    def _holds(self, value: ir.Value) -> Hashable:
        content = self.facts.content(value)
        if content is None:
            return None
        cells = content if isinstance(content, tuple) else (content,)
        if any(not isinstance(c, int) and not free_symbols(c) <= self.symbols for c in cells):
            return None
        return ("holds", self.facts.dtype(value), content)

    def is_known_number(self, value: ir.Value) -> bool:
        """Whether a value is a small integer tensor whose elements are certain."""
        content = self.facts.content(value)
        cells = content if isinstance(content, tuple) else (content,)
        return all(isinstance(cell, int) for cell in cells)

    def is_size(self, node: ir.Node) -> bool:
        """Whether a node only computes small integers that follow from dims."""
        return all(self.facts.content(value) is not None for value in node.outputs)

    def computing(self, graph: ir.Graph) -> list[ir.Node]:
        """Returns the nodes of a graph that do more than hold a tensor."""
        if graph not in self._computing:
            self._computing[graph] = [node for node in graph if not is_constant_node(node)]
        return self._computing[graph]

    def all_nodes(self) -> Iterator[ir.Node]:
        """Yields every node, those of bodies and functions included."""
        yield from self.model.graph.all_nodes()
        for function in self.model.functions.values():
            yield from function.all_nodes()

    def place(self, node: ir.Node) -> Place:
        """Describes a node for a report."""
        made = next((value.name for value in node.outputs if value.name), "")
        graph = node.graph.graph if isinstance(node.graph, ir.Function) else node.graph
        scope = "" if graph is None else self._scopes.get(graph, "")
        return Place(node.name or made or "", op_name(node), scope)


def _scopes(model: ir.Model) -> dict[ir.Graph, str]:
    """The way to each body and function; empty for the main graph."""
    found: dict[ir.Graph, str] = {}

    def walk(graph: ir.Graph, path: str) -> None:
        found[graph] = path
        for node in graph:
            for name, body in bodies(node):
                walk(body, f"{path}/{node.name or node.op_type}/{name}".lstrip("/"))

    walk(model.graph, "")
    for function in model.functions.values():
        walk(function.graph, ".".join(filter(None, function.identifier())))
    return found


def is_constant_node(node: ir.Node) -> bool:
    """Whether a node only holds a tensor."""
    return node.op_type == "Constant" and operator(node)[0] == "" and not _refers(node.attributes)


def _refers(given: Mapping[str, ir.Attr]) -> bool:
    return any(a.is_ref() or a.type == ir.AttributeType.SPARSE_TENSOR for a in given.values())
