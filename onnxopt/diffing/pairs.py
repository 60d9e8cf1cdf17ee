"""Which node of the first model is which of the second."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence

import onnx_ir as ir


class Pairs:
    """Pairs of nodes, one of each model."""

    def __init__(self) -> None:
        self.after: dict[ir.Node, ir.Node] = {}
        self.before: dict[ir.Node, ir.Node] = {}
        self.number: dict[ir.Node, int] = {}
        """A number that both nodes of a pair have, and no others."""

    def add(self, a: ir.Node, b: ir.Node) -> None:
        """Declares two nodes to be the same; neither may be in a pair already."""
        self.after[a] = b
        self.before[b] = a
        self.number[a] = self.number[b] = len(self.after)

    def __contains__(self, node: ir.Node) -> bool:
        return node in self.number

    def __len__(self) -> int:
        return len(self.after)

    def add_equal(
        self,
        a: Mapping[ir.Node, Hashable],
        b: Mapping[ir.Node, Hashable],
        ties: Sequence[Mapping[ir.Node, Hashable]],
        *,
        in_order: bool = True,
    ) -> int:
        """Pairs nodes with equal keys.

        Args:
            a: Keys of nodes of the first model that are in no pair; None for those to leave out.
            b: The same of the second.
            ties: Further keys of nodes of both, to tell apart those with equal ones.
            in_order: Whether equally many that nothing tells apart are paired in their order.

        Returns:
            The number of pairs added.
        """
        before = len(self)
        there = _grouped(b)
        for key, nodes in _grouped(a).items():
            if key in there:
                self._pair(nodes, there[key], ties, in_order)
        return len(self) - before

    def _pair(
        self,
        left: list[ir.Node],
        right: list[ir.Node],
        ties: Sequence[Mapping[ir.Node, Hashable]],
        in_order: bool,
    ) -> None:
        if len(left) == len(right) == 1:
            self.add(left[0], right[0])
            return
        for tie in ties:
            there = _grouped({node: tie.get(node) for node in right})
            for key, nodes in _grouped({node: tie.get(node) for node in left}).items():
                others = there.get(key, [])
                if len(nodes) == len(others) == 1:
                    self.add(nodes[0], others[0])
            left = [node for node in left if node not in self]
            right = [node for node in right if node not in self]
        if in_order:
            for a, b in zip(left, right, strict=False):
                self.add(a, b)


def _grouped(keys: Mapping[ir.Node, Hashable]) -> dict[Hashable, list[ir.Node]]:
    groups: dict[Hashable, list[ir.Node]] = defaultdict(list)
    for node, key in keys.items():
        if key is not None:
            groups[key].append(node)
    return groups
