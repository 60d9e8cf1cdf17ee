"""Pairs spread to neighbours: what feeds the same input of two nodes that are the same, and what reads the same result."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator

import onnx_ir as ir

from .pairs import Pairs
from .signature import is_commutative

Key = Callable[[ir.Node], Hashable]


class Spreading:
    """Adds pairs beside those known.

    Args:
        pairs: The pairs known so far.
        a: Nodes of the first model that are in no pair.
        b: The same of the second.
        key_a: What nodes of the first model must have in common with those of the second.
        key_b: The same for the second.
    """

    def __init__(
        self, pairs: Pairs, a: set[ir.Node], b: set[ir.Node], key_a: Key, key_b: Key
    ) -> None:
        self._pairs = pairs
        self._open = (a, b)
        self._keys = (key_a, key_b)

    def run(self) -> int:
        """Spreads from every pair, and from those added; returns the number added."""
        before = len(self._pairs)
        waiting = list(self._pairs.after.items())
        for reach in (self._feeding, self._reading):
            queue = list(waiting)
            while queue:
                a, b = queue.pop()
                for found in self._matched(list(reach(a, 0)), list(reach(b, 1))):
                    self._pairs.add(*found)
                    queue.append(found)
                    waiting.append(found)
        return len(self._pairs) - before

    def bridge(self) -> int:
        """Spreads backwards over one node that only one of the models has; returns the number of pairs added."""
        before = len(self._pairs)
        for a, b in list(self._pairs.after.items()):
            near = self._behind([a], 0), self._behind([b], 1)
            far = self._behind(near[0], 0), self._behind(near[1], 1)
            for left, right in ((far[0], near[1]), (near[0], far[1])):
                keyed = (
                    [(self._keys[side](node), node) for node in nodes]
                    for side, nodes in enumerate((left, right))
                )
                for found in self._matched(*keyed):
                    self._pairs.add(*found)
        return len(self._pairs) - before

    def _behind(self, nodes: list[ir.Node], side: int) -> list[ir.Node]:
        """The nodes in no pair that feed some nodes."""
        fed = (value for node in nodes for value in node.inputs if value is not None)
        made = (value.producer() for value in fed)
        return [node for node in made if node is not None and node in self._open[side]]

    def _feeding(self, node: ir.Node, side: int) -> Iterator[tuple[Hashable, ir.Node]]:
        """What feeds a node, by the input."""
        for position, value in enumerate(node.inputs):
            producer = None if value is None else value.producer()
            if producer is not None and producer in self._open[side]:
                assert value is not None
                place = 0 if is_commutative(node) else position
                yield (place, value.index(), self._keys[side](producer)), producer

    def _reading(self, node: ir.Node, side: int) -> Iterator[tuple[Hashable, ir.Node]]:
        """What reads a node's results, by the result and the input."""
        for number, value in enumerate(node.outputs):
            for user, position in value.uses():
                if user in self._open[side]:
                    place = 0 if is_commutative(user) else position
                    yield (number, place, self._keys[side](user)), user

    def _matched(
        self, left: list[tuple[Hashable, ir.Node]], right: list[tuple[Hashable, ir.Node]]
    ) -> Iterator[tuple[ir.Node, ir.Node]]:
        """The nodes that only one of either side can be."""
        there = _alone(right)
        for key, node in _alone(left).items():
            other = there.get(key)
            if other is None or node in self._pairs or other in self._pairs:
                continue
            self._open[0].discard(node)
            self._open[1].discard(other)
            yield node, other


def _alone(found: list[tuple[Hashable, ir.Node]]) -> dict[Hashable, ir.Node]:
    nodes: dict[Hashable, set[ir.Node]] = {}
    for key, node in found:
        nodes.setdefault(key, set()).add(node)
    return {key: next(iter(alike)) for key, alike in nodes.items() if len(alike) == 1}
