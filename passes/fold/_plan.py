"""Which results of a region become constants, so that the model does not grow.

A weight that several nodes reorder is freed only when all of them are folded, so results that read
the same constants are judged together; results that are computed in the same way count once, since
equal constants are merged afterwards.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable

import onnx_ir as ir

from onnxopt.rewrite.budget import Budget

from .._attributes import attribute_key
from ._region import Region

_SMALL = 1 << 10
_GROUP_ROUNDS = 8


class Plan:
    """Chooses the frontier of a region.

    Args:
        region: The region; what is not worth folding is made to stay.
        budget: What the model may grow by.
        nbytes: Gives the size of a value in bytes; None where it is unknown.
        decline: Called with each node that would make the model grow.
    """

    def __init__(
        self,
        region: Region,
        budget: Budget,
        nbytes: Callable[[ir.Value], int | None],
        decline: Callable[[ir.Node], None],
    ) -> None:
        self._region = region
        self._budget = budget
        self._nbytes = nbytes
        self._decline = decline
        self._numbers: dict[Hashable, int] = {}
        self._kinds: dict[ir.Value, int] = {}

    def frontier(self) -> list[ir.Node]:
        """Returns the nodes to replace by constants, in order; their growth is paid for."""
        for _ in range(_GROUP_ROUNDS):
            if not self._keep_unaffordable_groups():
                break
        else:
            self._keep_unaffordable_nodes()
        return self._candidates()

    def _candidates(self) -> list[ir.Node]:
        chosen = []
        for node in reversed(self._region.leaving()):
            wanted = self._region.wanted(node)
            if any(self._region.is_sequence(v) for v in wanted):
                self._region.stay(node)
            elif wanted:
                chosen.append(node)
        return chosen[::-1]

    def _keep_unaffordable_groups(self) -> bool:
        """Keeps nodes that would make the model grow; tells whether it kept any."""
        large = [n for n in self._candidates() if self._added([n]) > _SMALL]
        spent = 0
        kept = False
        for group in self._groups(large):
            growth = self._growth(group)
            if self._budget.allows(growth + spent):
                spent += max(growth, 0)
                continue
            for node in group:
                alone = self._growth([node])
                if len(group) > 1 and self._budget.allows(alone + spent):
                    spent += max(alone, 0)
                else:
                    self._decline(node)
                    self._region.stay(node)
                    kept = True
        if not kept:
            self._budget.spend(spent)
        return kept

    def _keep_unaffordable_nodes(self) -> None:
        """Judges each node alone, users first: what one that stays reads comes up for its own turn."""
        for node in reversed(self._region.leaving()):
            if self._region.wanted(node) and self._added([node]) > _SMALL:
                growth = self._growth([node])
                if self._budget.allows(growth):
                    self._budget.spend(growth)
                else:
                    self._decline(node)
                    self._region.stay(node)

    # What it costs

    def _added(self, nodes: Iterable[ir.Node]) -> int:
        """The bytes of the constants that nodes turn into, equal ones counted once."""
        sizes: dict[int, int] = {}
        for node in nodes:
            for value in self._region.wanted(node):
                sizes[self._kind(value)] = self._nbytes(value) or 0
        return sum(sizes.values())

    def _growth(self, nodes: list[ir.Node]) -> int:
        gone = {n for node in nodes for n in self._region.cone(node)}
        return self._added(nodes) + self._budget.growth([], [], list(gone))

    def _groups(self, nodes: list[ir.Node]) -> list[list[ir.Node]]:
        """Groups nodes that, directly or through others, read the same constants."""
        readers: dict[ir.Value, list[int]] = defaultdict(list)
        for index, node in enumerate(nodes):
            for inner in self._region.cone(node):
                for value in inner.inputs:
                    if value is not None and value.producer() not in self._region.nodes:
                        readers[value].append(index)
        leader = list(range(len(nodes)))

        def find(index: int) -> int:
            while leader[index] != index:
                leader[index] = leader[leader[index]]
                index = leader[index]
            return index

        for value, indices in readers.items():
            if (self._nbytes(value) or 0) > _SMALL:
                for index in indices[1:]:
                    leader[find(index)] = find(indices[0])
        groups: dict[int, list[ir.Node]] = defaultdict(list)
        for index, node in enumerate(nodes):
            groups[find(index)].append(node)
        return list(groups.values())

    def _kind(self, value: ir.Value) -> int:
        """A number that is the same for values computed in the same way from the same constants."""
        if value not in self._kinds:
            producer = value.producer()
            if producer is None or producer not in self._region.nodes:
                self._kinds[value] = self._number(value)
            else:
                for node in self._region.nodes:
                    self._classify(node)
        return self._kinds[value]

    def _classify(self, node: ir.Node) -> None:
        attributes = tuple((k, attribute_key(a)) for k, a in sorted(node.attributes.items()))
        inputs = tuple(None if v is None else self._kind(v) for v in node.inputs)
        for index, output in enumerate(node.outputs):
            key = (node.op_identifier(), attributes, inputs, index)
            self._kinds[output] = self._number(key)

    def _number(self, key: Hashable) -> int:
        return self._numbers.setdefault(key, len(self._numbers))
