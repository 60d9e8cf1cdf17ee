"""The part of a model that computes constants from constants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import onnx_ir as ir

from onnxopt.analysis.effects import is_foldable
from onnxopt.analysis.facts import Facts
from onnxopt.rewrite.scopes import subgraphs
from onnxopt.rewrite.uses import use_count

UNFOLDABLE = "onnxopt.unfoldable"
"""Key in a node's (transient) ``meta``: why an earlier attempt to fold it failed."""

_SEQUENCES = frozenset(
    {"SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert", "SplitToSequence"}
)
_CONE_LIMIT = 4096


def in_order(graph: ir.Graph) -> Iterator[ir.Node]:
    """Yields the nodes of a graph and of those inside it, each after all that it can read."""
    for node in graph:
        for body in subgraphs(node):
            yield from in_order(body)
        yield node


class Region:
    """Foldable nodes whose inputs are all constants, in order.

    Some of them may stay in the graph all the same: they can be computed, but are not replaced.

    Args:
        model: The model.
        facts: Its facts.
        graph: Where to look: the main graph or a function's, with the graphs inside.
    """

    def __init__(self, model: ir.Model, facts: Facts, graph: ir.Graph) -> None:
        self.facts = facts
        self.nodes: dict[ir.Node, None] = {}
        self._reads: Counter[ir.Value] = Counter()
        self._staying: set[ir.Node] = set()
        for node in in_order(graph):
            if self._belongs(node, model):
                self.nodes[node] = None
                self._reads.update(v for v in node.inputs if v is not None)

    def _belongs(self, node: ir.Node, model: ir.Model) -> bool:
        if UNFOLDABLE in node.meta or not is_foldable(node, model):
            return False
        if node.op_type == "Identity" and node.outputs[0].is_graph_output():
            # What an output that is a constant looks like.
            return False
        return all(v is None or self.is_constant(v) for v in node.inputs)

    def is_constant(self, value: ir.Value) -> bool:
        """Tells whether a value is a constant or computed inside the region."""
        return value.producer() in self.nodes or self.facts.const_tensor(value) is not None

    def drop(self, node: ir.Node) -> None:
        """Takes a node that cannot be computed out of the region, and all that depends on it."""
        pending = [node]
        while pending:
            gone = pending.pop()
            if gone in self.nodes:
                self.stay(gone)
                del self.nodes[gone]
                pending.extend(user for v in gone.outputs for user, _ in v.uses())

    def stay(self, node: ir.Node) -> None:
        """Leaves a node in the graph; what it reads is then wanted."""
        if node not in self._staying:
            self._staying.add(node)
            self._reads.subtract(v for v in node.inputs if v is not None)

    def leaving(self) -> list[ir.Node]:
        """Returns the nodes that do not stay, in order."""
        return [node for node in self.nodes if node not in self._staying]

    def wanted(self, node: ir.Node) -> list[ir.Value]:
        """Returns the outputs of a node that are needed by what stays."""
        return [v for v in node.outputs if self.is_wanted(v)]

    def is_wanted(self, value: ir.Value) -> bool:
        """Tells whether something that stays reads a value, or a graph returns it."""
        if value.is_graph_output():
            return True
        return use_count(value) > self._reads[value]

    def is_sequence(self, value: ir.Value) -> bool:
        """Tells whether a value is no tensor, so that no initializer can hold it."""
        producer = value.producer()
        if producer is not None and producer.op_type in _SEQUENCES:
            return True
        return self.facts.fact(value).container is not None

    def cone(self, node: ir.Node) -> list[ir.Node]:
        """Returns the nodes that only serve ``node``: those that go when its outputs are constants."""
        found: dict[ir.Node, None] = {node: None}
        reads: Counter[ir.Value] = Counter()
        pending = [node]
        while pending and len(found) < _CONE_LIMIT:
            inputs = [v for v in pending.pop().inputs if v is not None]
            reads.update(inputs)
            for value in inputs:
                producer = self._inside(value)
                if producer is None or producer in self._staying or producer in found:
                    continue
                if not _only_serves(producer, reads):
                    continue
                found[producer] = None
                pending.append(producer)
        return list(found)

    def upstream(self, nodes: list[ir.Node]) -> list[ir.Node]:
        """Returns ``nodes`` and all nodes of the region that they depend on, in order."""
        needed: set[ir.Node] = set(nodes)
        pending = list(nodes)
        while pending:
            for value in pending.pop().inputs:
                producer = self._inside(value)
                if producer is not None and producer not in needed:
                    needed.add(producer)
                    pending.append(producer)
        return [node for node in self.nodes if node in needed]

    def _inside(self, value: ir.Value | None) -> ir.Node | None:
        producer = None if value is None else value.producer()
        return producer if producer in self.nodes else None


def _only_serves(node: ir.Node, reads: Counter[ir.Value]) -> bool:
    """Whether what was read so far is all that a node's outputs are for."""
    return all(not v.is_graph_output() and reads[v] == use_count(v) for v in node.outputs)
