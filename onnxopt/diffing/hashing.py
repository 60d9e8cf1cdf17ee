"""Keys of nodes: from what they compute on, and from what is made of them.

A key is a number that stands for everything that goes into it. Nodes that are in a pair already, inputs, and constants are where
keys begin, so that the more is known the more keys can tell.
"""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Hashable, Sequence

import onnx_ir as ir

from .pairs import Pairs
from .side import Side
from .signature import bodies, is_commutative, operator

_NOTHING = 0
_PLAIN = frozenset({"Identity", "Dropout"})
_CASTING = _PLAIN | {"Cast", "QuantizeLinear", "DequantizeLinear"}


class Level(enum.Enum):
    """How much has to be the same."""

    EXACT = "operators, attributes, constants"
    KIND = "operators, attributes, types and dims of constants"
    LOOSE = "operators"


class Numbers:
    """Gives a number to whatever it is shown, the same to what is equal."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}

    def of(self, thing: Hashable) -> int:
        """Returns the number, which is greater than 0."""
        return self._numbers.setdefault(thing, len(self._numbers) + 1)


class Hasher:
    """Computes keys.

    Args:
        pairs: The pairs known so far; keys follow as more are added.
    """

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs
        self.numbers = Numbers()
        self.owners: dict[tuple[int, int], tuple[ir.Node, int]] = {}
        """By side and key the node in a pair that computes it, and the pair's number."""

    def up(
        self, side: Side, graph: ir.Graph, level: Level, arguments: Sequence[Hashable]
    ) -> Ascent:
        """Computes keys of a graph's nodes from its inputs on."""
        ascent = Ascent(self, side, level)
        ascent.graph(graph, arguments)
        return ascent

    def down(
        self, side: Side, graph: ir.Graph, level: Level, results: Sequence[Hashable]
    ) -> dict[ir.Node, Hashable]:
        """Computes keys of a graph's nodes from its outputs back; None for what nothing is made of."""
        return _Descent(self, side, graph, level, results).keys


class Ascent:
    """Keys from the inputs on.

    Attributes:
        keys: Of each node of the graph; None for those that only pass on what they get.
        tokens: Of each value what it is; equal for equal values of both models.
        constants: Values that follow from constants alone.
    """

    def __init__(self, hasher: Hasher, side: Side, level: Level) -> None:
        self._of = hasher.numbers.of
        self._hasher = hasher
        self._side = side
        self._level = level
        self._passing = _CASTING if level is Level.LOOSE else _PLAIN
        self.keys: dict[ir.Node, int | None] = {}
        self.tokens: dict[ir.Value, int] = {}
        self.constants: set[ir.Value] = set()

    def graph(self, graph: ir.Graph, arguments: Sequence[Hashable]) -> None:
        """Walks through a graph whose inputs stand for ``arguments``."""
        for value, argument in zip(graph.inputs, arguments, strict=True):
            self.tokens[value] = self._of(argument)
        for node in self._side.computing(graph):
            self._node(node, 0)

    def read(self, value: ir.Value | None) -> int:
        """Returns what a value is."""
        if value is None:
            return _NOTHING
        token = self.tokens.get(value)
        if token is None:
            token = self.tokens[value] = self._outer(value)
        return token

    def _outer(self, value: ir.Value) -> int:
        """What a value is that no node walked through so far has made: a constant, or of a graph around."""
        tensor = self._side.constant(value)
        if tensor is not None:
            self.constants.add(value)
            return self._constant(value, tensor)
        sparse = self._side.sparse(value)
        if sparse is not None:
            self.constants.add(value)
            return self._of(("sparse", sparse))
        producer = value.producer()
        if producer is not None and producer in self._hasher.pairs:
            return self._of(("pair", self._hasher.pairs.number[producer], value.index()))
        port = self._side.ports.get(value)
        return self._of(("value", id(value)) if port is None else port)

    def _constant(self, value: ir.Value, tensor: ir.TensorProtocol) -> int:
        known = self._side.known(value)
        if known is not None and self._level is not Level.LOOSE:
            return self._of(known)
        if self._level is Level.EXACT:
            return self._of(("constant", self._side.contents.of(tensor)))
        return self._kind(tensor.dtype, tuple(tensor.shape.numpy()))

    def _kind(self, dtype: ir.DataType | None, dims: Hashable) -> int:
        if self._level is Level.LOOSE:
            return self._of("constant")
        return self._of(("constant of", dtype, dims))

    def _node(self, node: ir.Node, depth: int) -> None:
        read = [self.read(value) for value in node.inputs]
        while read and read[-1] == _NOTHING:
            read.pop()
        derived = bool(read) and all(v is None or v in self.constants for v in node.inputs)
        key = self._key(node, read, depth)
        passes = node.op_type in self._passing and operator(node)[0] == ""
        self.keys[node] = None if passes and self._level is Level.LOOSE else key
        for position, value in enumerate(node.outputs):
            self._result(node, value, position, key, derived)
        if passes and node.inputs and node.inputs[0] is not None and node.outputs:
            self.tokens[node.outputs[0]] = read[0]
            if node.inputs[0] in self.constants:
                self.constants.add(node.outputs[0])

    def _key(self, node: ir.Node, read: list[int], depth: int) -> int:
        if is_commutative(node):
            read = sorted(read)
        inner = tuple((name, self._body(body, depth + 1)) for name, body in bodies(node))
        if self._level is Level.LOOSE:
            return self._of((operator(node), tuple(read), tuple(name for name, _ in inner)))
        return self._of((self._side.sign(node), tuple(read), inner))

    def _body(self, graph: ir.Graph, depth: int) -> Hashable:
        for position, value in enumerate(graph.inputs):
            self.tokens[value] = self._of(("bound", depth, position))
        for node in self._side.computing(graph):
            self._node(node, depth)
        return tuple(self.read(value) for value in graph.outputs)

    def _result(
        self, node: ir.Node, value: ir.Value, position: int, key: int, derived: bool
    ) -> None:
        if derived:
            self.constants.add(value)
        number = self._number(node, key)
        known = self._side.known(value)
        if known is not None and self._level is not Level.LOOSE:
            self.tokens[value] = self._of(known)
        elif number is not None:
            self.tokens[value] = self._of(("pair", number, position))
        elif derived and self._level is not Level.EXACT:
            facts = self._side.facts
            self.tokens[value] = self._kind(facts.dtype(value), facts.static_shape(value))
        else:
            self.tokens[value] = self._of((key, position))

    def _number(self, node: ir.Node, key: int) -> int | None:
        """The number of the pair that a node is in, or that another is in which computes the same."""
        number = self._hasher.pairs.number.get(node)
        place = (id(self._side), key)
        if number is not None:
            self._hasher.owners[place] = (node, number)
            return number
        owner = self._hasher.owners.get(place)
        return None if owner is None else owner[1]


class _Descent:
    """Keys from the outputs back."""

    def __init__(
        self,
        hasher: Hasher,
        side: Side,
        graph: ir.Graph,
        level: Level,
        results: Sequence[Hashable],
    ) -> None:
        self._of = hasher.numbers.of
        self._pairs = hasher.pairs
        self._side = side
        self._level = level
        self._ascent = Ascent(hasher, side, level)
        self._results: dict[ir.Value, list[Hashable]] = defaultdict(list)
        self._uses: dict[ir.Node, tuple[int, ...]] = {}
        self.keys: dict[ir.Node, Hashable] = {}
        for value, result in zip(graph.outputs, results, strict=True):
            self._results[value].append(result)
        for node in reversed(side.computing(graph)):
            self._node(node)

    def _node(self, node: ir.Node) -> None:
        made = [self._made_of(value) for value in node.outputs]
        if self._level is Level.LOOSE and node.op_type in _CASTING and operator(node)[0] == "":
            self._uses[node] = made[0]
            self.keys[node] = None
            return
        used = any(made)
        sign = operator(node) if self._level is Level.LOOSE else self._side.sign(node)
        key = self._of(("makes", sign, self._constants(node), tuple(made)))
        self._uses[node] = (key,)
        self.keys[node] = key if used else None

    def _constants(self, node: ir.Node) -> Hashable:
        if self._level is Level.LOOSE:
            return None
        return tuple(
            (position, self._ascent.read(value))
            for position, value in enumerate(node.inputs)
            if value is not None and self._side.constant(value) is not None
        )

    def _made_of(self, value: ir.Value) -> tuple[int, ...]:
        found = [self._of(("result", result)) for result in self._results.get(value, ())]
        for user, position in value.uses():
            place = 0 if is_commutative(user) else position
            if user in self._pairs:
                found.append(self._of(("read by", self._pairs.number[user], place)))
            elif user in self._uses:
                found.extend(self._of(("read", use, place)) for use in self._uses[user])
            else:
                found.append(self._of(("read inside", operator(user), place)))
        return tuple(sorted(found))
