"""Which new nodes do the work of which that are gone.

Nodes that are in no pair are joined where one reads the other, where they feed the same input of a node that both models have, the
same output or a result of the same name, and where the new node's metadata names the old one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import onnx_ir as ir

from onnxopt.rewrite.provenance import FROM, RULE

from .pairs import Pairs
from .side import Side


class Regions:
    """Sets of nodes, of both models, that belong together."""

    def __init__(self) -> None:
        self._parents: dict[ir.Node, ir.Node] = {}

    def add(self, node: ir.Node) -> None:
        """Begins a set with a node, unless it is in one."""
        self._parents.setdefault(node, node)

    def __contains__(self, node: ir.Node) -> bool:
        return node in self._parents

    def join(self, a: ir.Node, b: ir.Node) -> None:
        """Makes one set of those that two nodes are in."""
        self._parents[self.root(a)] = self.root(b)

    def root(self, node: ir.Node) -> ir.Node:
        """Returns the node that stands for the set which a node is in."""
        while (parent := self._parents[node]) is not node:
            self._parents[node] = node = self._parents[parent]
        return node

    def sets(self) -> Iterator[list[ir.Node]]:
        """Yields the sets."""
        found: dict[ir.Node, list[ir.Node]] = defaultdict(list)
        for node in self._parents:
            found[self.root(node)].append(node)
        yield from found.values()


def sources(node: ir.Node) -> list[str]:
    """Returns the names of the nodes that a node stands for, as its metadata says."""
    return _split(node.metadata_props.get(FROM, ""))


def rules(node: ir.Node) -> list[str]:
    """Returns the rules that made a node, as its metadata says."""
    return _split(node.metadata_props.get(RULE, ""))


def _split(text: str) -> list[str]:
    return [part for part in text.split(", ") if part]


class Joining:
    """Finds what belongs together.

    Args:
        a: The first model.
        b: The second.
        pairs: All pairs.
        gone: Nodes of the first model to be accounted for.
        new: Nodes of the second model that are in no pair.
        outputs: By an output of a graph of the second model those of the first that are the same.
    """

    def __init__(
        self,
        a: Side,
        b: Side,
        pairs: Pairs,
        gone: list[ir.Node],
        new: list[ir.Node],
        outputs: dict[ir.Value, list[ir.Value]],
    ) -> None:
        self._pairs = pairs
        self._outputs = outputs
        self._named = _by_name(gone)
        self._results = {v.name: n for n in gone for v in n.outputs if v.name}
        self.regions = Regions()
        for node in (*gone, *new):
            self.regions.add(node)
        self._within(gone, a)
        self._within(new, b)
        for node in new:
            for other in (*self._declared(node), *self._same_use(node), *self._same_result(node)):
                self.regions.join(node, other)

    def _within(self, nodes: list[ir.Node], side: Side) -> None:
        """Joins nodes that read each other; arithmetic on sizes is not part of what computes with tensors."""
        for node in nodes:
            for value in node.inputs:
                producer = None if value is None else value.producer()
                if producer is None or producer not in self.regions:
                    continue
                if side.is_size(node) == side.is_size(producer):
                    self.regions.join(node, producer)

    def declared(self, node: ir.Node) -> list[ir.Node]:
        """Returns the nodes that are gone and which a node's metadata names."""
        return list(self._declared(node))

    def _declared(self, node: ir.Node) -> Iterator[ir.Node]:
        for name in sources(node):
            yield from self._named.get(name, ())

    def _same_use(self, node: ir.Node) -> Iterator[ir.Node]:
        for value in node.outputs:
            for user, position in value.uses():
                before = self._pairs.before.get(user)
                if before is not None and position < len(before.inputs):
                    yield from self._gone(before.inputs[position])
            for old in self._outputs.get(value, ()):
                yield from self._gone(old)

    def _same_result(self, node: ir.Node) -> Iterator[ir.Node]:
        for value in node.outputs:
            found = self._results.get(value.name or "")
            if found is not None:
                yield found

    def _gone(self, value: ir.Value | None) -> Iterator[ir.Node]:
        producer = None if value is None else value.producer()
        if producer is not None and producer in self.regions:
            yield producer


def _by_name(nodes: list[ir.Node]) -> dict[str, list[ir.Node]]:
    found: dict[str, list[ir.Node]] = defaultdict(list)
    for node in nodes:
        name = node.name or next((value.name for value in node.outputs if value.name), None)
        if name:
            found[name].append(node)
    return found
