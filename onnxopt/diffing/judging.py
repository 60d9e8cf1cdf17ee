"""What is different about a node that both models have."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

import onnx_ir as ir

from onnxopt.analysis.naming import dtype_name

from .hashing import Ascent
from .pairs import Pairs
from .side import Side
from .signature import is_commutative, op_name

_SHOWN = 48
Input = ir.Value | None


class Judge:
    """Compares the nodes of pairs.

    Args:
        a: The first model.
        b: The second.
        pairs: All pairs.
        before: What the values of the first model are.
        after: What those of the second are.
        homes: For each graph of the first model the same one of the second.
    """

    def __init__(
        self,
        a: Side,
        b: Side,
        pairs: Pairs,
        before: Ascent,
        after: Ascent,
        homes: dict[ir.Graph, ir.Graph],
    ) -> None:
        self._a = a
        self._b = b
        self._pairs = pairs
        self._before = before
        self._after = after
        self._homes = homes

    def judge(self, a: ir.Node) -> tuple[str, tuple[str, ...]]:
        """Tells what became of a node that is in a pair.

        Returns:
            What happened, such as ``"changed"``, and each difference; an empty text where there is none.
        """
        b = self._pairs.after[a]
        changed = [*self._operator(a, b), *self._attributes(a, b), *self._inputs(a, b)]
        retyped = list(self._types(a, b))
        moved = [*self._order(a, b), *self._home(a, b)]
        kind = "changed" if changed else "retyped" if retyped else "moved" if moved else ""
        return kind, (*changed, *retyped, *moved)

    def _operator(self, a: ir.Node, b: ir.Node) -> Iterator[str]:
        if op_name(a) != op_name(b):
            yield f"operator {op_name(a)} → {op_name(b)}"

    def _attributes(self, a: ir.Node, b: ir.Node) -> Iterator[str]:
        before, after = self._a.attributes(a), self._b.attributes(b)
        for name in sorted({*before, *after}):
            if before.get(name) != after.get(name):
                yield f"{name} {_text(before.get(name))} → {_text(after.get(name))}"

    def _inputs(self, a: ir.Node, b: ir.Node) -> Iterator[str]:
        before, after = list(a.inputs), list(b.inputs)
        if is_commutative(a) and is_commutative(b):
            before, after = self._remainder(before, after)
        for position in range(max(len(before), len(after))):
            old, new = _at(before, position), _at(after, position)
            if self._differ(old, new):
                yield f"input {position} {self._of(self._a, old)} → {self._of(self._b, new)}"

    def _remainder(
        self, before: list[Input], after: list[Input]
    ) -> tuple[list[Input], list[Input]]:
        """Leaves out the inputs that both nodes have."""
        rest = {position: self._after.read(value) for position, value in enumerate(after)}
        left = []
        for value in before:
            token = self._before.read(value)
            found = next((position for position, other in rest.items() if other == token), None)
            if found is None:
                left.append(value)
            else:
                del rest[found]
        return left, [after[position] for position in rest]

    def _differ(self, old: ir.Value | None, new: ir.Value | None) -> bool:
        """Whether two inputs have nothing to do with each other, and no node that is gone or new explains it."""
        if old is None or new is None:
            return old is not new
        if self._before.read(old) == self._after.read(new):
            return False
        there, here = self._a.constant(old), self._b.constant(new)
        if there is not None and here is not None:
            known = self._a.known(old) is not None or self._b.known(new) is not None
            return known or tuple(there.shape.numpy()) != tuple(here.shape.numpy())
        return not (self._open(old) or self._open(new))

    def _open(self, value: ir.Value) -> bool:
        producer = value.producer()
        return producer is not None and producer not in self._pairs

    def _of(self, side: Side, value: ir.Value | None) -> str:
        if value is None:
            return "none"
        content = side.facts.content(value)
        if side.constant(value) is not None and content is not None:
            return _text(content)
        return value.name or "?"

    def _types(self, a: ir.Node, b: ir.Node) -> Iterator[str]:
        for old, new in zip(a.outputs, b.outputs, strict=False):
            before, after = self._a.facts.dtype(old), self._b.facts.dtype(new)
            if before is not None and after is not None and before != after:
                yield f"{dtype_name(before)} → {dtype_name(after)}"

    def _order(self, a: ir.Node, b: ir.Node) -> Iterator[str]:
        if not is_commutative(a):
            return
        before = [self._before.read(value) for value in a.inputs]
        after = [self._after.read(value) for value in b.inputs]
        if before != after and sorted(before) == sorted(after):
            yield "its inputs are in another order"

    def _home(self, a: ir.Node, b: ir.Node) -> Iterator[str]:
        home = a.graph if not isinstance(a.graph, ir.Function) else a.graph.graph
        there = b.graph if not isinstance(b.graph, ir.Function) else b.graph.graph
        if home is not None and self._homes.get(home) is not there:
            scopes = self._a.place(a).scope, self._b.place(b).scope
            yield f"from {scopes[0] or 'the main graph'} to {scopes[1] or 'the main graph'}"


def _at(values: list[Input], position: int) -> Input:
    return values[position] if position < len(values) else None


def _text(value: Hashable) -> str:
    if value is None:
        return "default"
    text = str(list(value)) if isinstance(value, tuple) else str(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
