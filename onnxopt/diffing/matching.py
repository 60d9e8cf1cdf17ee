"""Finds out which nodes of two models are the same, the most certain first.

Nodes are the same that compute the same from the inputs on, or of which the same is made on the way to the outputs; then those
that read the same weight, that have the same name, and at last those whose operator and neighbours are the same. Each pair found is
where the next search begins.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from .hashing import Hasher, Level
from .neighbours import Key, Spreading
from .pairs import Pairs
from .side import Side
from .signature import bodies, operator

_TELLING_BYTES = 64
"""Smaller constants are no evidence that nodes which read them are the same."""


@dataclass(frozen=True)
class Scope:
    """Two graphs that are the same one, before and after.

    Attributes:
        a: The graph of the first model.
        b: That of the second.
        arguments: What the inputs of each stand for.
        results: What the outputs of each stand for.
    """

    a: ir.Graph
    b: ir.Graph
    arguments: tuple[Sequence[Hashable], Sequence[Hashable]]
    results: tuple[Sequence[Hashable], Sequence[Hashable]]


class Matcher:
    """Pairs the nodes of two models.

    Args:
        a: The first model.
        b: The second.
    """

    def __init__(self, a: Side, b: Side) -> None:
        self.a = a
        self.b = b
        self.pairs = Pairs()
        self.hasher = Hasher(self.pairs)

    def match(self, scope: Scope) -> Iterator[Scope]:
        """Pairs the nodes of two graphs, then those of their bodies.

        Yields:
            Each pair of graphs gone through, this one first.
        """
        yield scope
        self._graphs(scope)
        for a in list(scope.a):
            b = self.pairs.after.get(a)
            if b is not None:
                for inner in _inner(a, b):
                    yield from self.match(inner)

    def _graphs(self, scope: Scope) -> None:
        self._settle(scope, Level.EXACT)
        for evidence in (self._weights, _names, _results):
            a, b = self._open(scope)
            if not (a and b):
                return
            pick = {n: evidence(n, self.a) for n in a}, {n: evidence(n, self.b) for n in b}
            if self.pairs.add_equal(*pick, (), in_order=False):
                self._settle(scope, Level.EXACT)
        self._settle(scope, Level.KIND)
        while self._spread(scope, self.a.sign, self.b.sign):
            self._settle(scope, Level.KIND)
        while (
            self._spread(scope, operator, operator)
            or self._settle(scope, Level.LOOSE)
            or self._spread(scope, operator, operator, bridging=True)
        ):
            pass

    def _open(self, scope: Scope) -> tuple[list[ir.Node], list[ir.Node]]:
        """The nodes that are in no pair yet."""
        a = [node for node in self.a.computing(scope.a) if node not in self.pairs]
        b = [node for node in self.b.computing(scope.b) if node not in self.pairs]
        return a, b

    def _spread(self, scope: Scope, key_a: Key, key_b: Key, *, bridging: bool = False) -> int:
        a, b = self._open(scope)
        if not (a and b):
            return 0
        spreading = Spreading(self.pairs, set(a), set(b), key_a, key_b)
        return spreading.bridge() if bridging else spreading.run()

    def _settle(self, scope: Scope, level: Level) -> int:
        before = len(self.pairs)
        while True:
            a, b = self._open(scope)
            if not (a and b) or not self._step(scope, level, set(a), set(b)):
                return len(self.pairs) - before

    def _step(self, scope: Scope, level: Level, a: set[ir.Node], b: set[ir.Node]) -> int:
        up_a = self.hasher.up(self.a, scope.a, level, scope.arguments[0]).keys
        up_b = self.hasher.up(self.b, scope.b, level, scope.arguments[1]).keys
        down_a = self.hasher.down(self.a, scope.a, level, scope.results[0])
        down_b = self.hasher.down(self.b, scope.b, level, scope.results[1])
        down = {**down_a, **down_b}
        names = {node: _label(node) for node in (*a, *b)}
        found = self.pairs.add_equal(
            {n: key for n, key in up_a.items() if n in a},
            {n: key for n, key in up_b.items() if n in b},
            (names, down),
        )
        return found + self.pairs.add_equal(
            {n: key for n, key in down_a.items() if n in a and n not in self.pairs},
            {n: key for n, key in down_b.items() if n in b and n not in self.pairs},
            (names,),
            in_order=False,
        )

    def _weights(self, node: ir.Node, side: Side) -> Hashable:
        read = []
        for position, value in enumerate(node.inputs):
            tensor = None if value is None else side.constant(value)
            if tensor is not None and tensor.nbytes >= _TELLING_BYTES:
                read.append((position, side.contents.of(tensor)))
        return (side.sign(node), tuple(read)) if read else None


def _names(node: ir.Node, side: Side) -> Hashable:
    return (side.sign(node), node.name) if node.name else None


def _results(node: ir.Node, side: Side) -> Hashable:
    return (side.sign(node), node.outputs[0].name) if node.outputs else None


def _label(node: ir.Node) -> Hashable:
    return (operator(node), node.name or (node.outputs[0].name if node.outputs else ""))


def _inner(a: ir.Node, b: ir.Node) -> Iterator[Scope]:
    """The bodies that two nodes have under the same names."""
    there = dict(bodies(b))
    for name, graph in bodies(a):
        if name in there:
            yield positional(graph, there[name])


def positional(a: ir.Graph, b: ir.Graph) -> Scope:
    """Two bodies or functions, whose inputs and outputs are the same where their positions are."""
    return Scope(
        a,
        b,
        (_numbered("bound", a.inputs), _numbered("bound", b.inputs)),
        (_numbered("result", a.outputs), _numbered("result", b.outputs)),
    )


def _numbered(what: str, values: Sequence[ir.Value]) -> list[Hashable]:
    return [(what, position) for position, _ in enumerate(values)]
