"""Finding a pattern at a node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx_ir as ir

from ..analysis.facts import Facts
from .pattern import Const, OneOf, Op, Pattern, Var
from .schema import attribute_default

_SCALAR_LIMIT = 1 << 20


class Bindings:
    """Values and nodes bound while a pattern is being matched."""

    __slots__ = ("inner", "nodes", "values")

    def __init__(self) -> None:
        self.values: dict[str, ir.Value | None] = {}
        self.nodes: dict[str, ir.Node] = {}
        self.inner: list[tuple[ir.Node, Op]] = []

    def copy(self) -> Bindings:
        """Returns an independent copy, for backtracking."""
        new = Bindings()
        new.values = dict(self.values)
        new.nodes = dict(self.nodes)
        new.inner = list(self.inner)
        return new


class Matcher:
    """Interprets patterns against a graph through its facts."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def match(self, pattern: Op, node: ir.Node) -> Iterator[Bindings]:
        """Yields every way in which ``pattern`` matches with ``node`` as its root."""
        if not _plausible(pattern, node):
            return iter(())
        return self._node(pattern, node, Bindings())

    def _value(self, p: Pattern, v: ir.Value | None, b: Bindings) -> Iterator[Bindings]:
        if isinstance(p, Var):
            yield from self._bind(p.name, p.optional, v, b)
        elif isinstance(p, Const):
            if v is None:
                if p.optional:
                    yield from self._bind(p.name, True, v, b)
            elif self._is_const(p, v):
                yield from self._bind(p.name, False, v, b)
        elif isinstance(p, OneOf):
            for alternative in p.alternatives:
                yield from self._value(alternative, v, b)
        elif isinstance(p, Op) and v is not None:
            node = v.producer()
            if node is not None and v.index() == p.output:
                yield from self._node(p, node, b)

    def _bind(
        self, name: str, optional: bool, v: ir.Value | None, b: Bindings
    ) -> Iterator[Bindings]:
        if v is None and not optional:
            return
        if name in b.values:
            if b.values[name] is v:
                yield b
            return
        if name:
            b = b.copy()
            b.values[name] = v
        yield b

    def _is_const(self, p: Const, v: ir.Value) -> bool:
        if self._facts.const_tensor(v) is None:
            return False
        wanted = p.equals if p.equals is not None else p.near
        if wanted is None:
            return True
        number = uniform(self._facts, v)
        if number is None:
            return False
        if p.equals is not None:
            return number == wanted
        return abs(number - wanted) <= 1e-3 * abs(wanted)

    def _node(self, p: Op, node: ir.Node, b: Bindings) -> Iterator[Bindings]:
        if node.op_type not in p.types or node.domain != p.domain:
            return
        if len(node.inputs) > len(p.inputs) and not p.open:
            rest = node.inputs[len(p.inputs) :]
            if any(v is not None for v in rest):
                return
        if p.attrs and not all(self._attr_is(node, k, v) for k, v in p.attrs.items()):
            return
        if p.bind and b.nodes.get(p.bind, node) is not node:
            return
        b = b.copy()
        if p.bind:
            b.nodes[p.bind] = node
        b.inner.append((node, p))
        inputs = list(node.inputs) + [None] * (len(p.inputs) - len(node.inputs))
        yield from self._inputs(p.inputs, inputs, b)
        if p.commutative and len(p.inputs) >= 2:
            swapped = [inputs[1], inputs[0], *inputs[2:]]
            yield from self._inputs(p.inputs, swapped, b)

    def _inputs(
        self, patterns: tuple[Pattern, ...], inputs: list[ir.Value | None], b: Bindings
    ) -> Iterator[Bindings]:
        if not patterns:
            yield b
            return
        for found in self._value(patterns[0], inputs[0], b):
            yield from self._inputs(patterns[1:], inputs[1:], found)

    def _attr_is(self, node: ir.Node, name: str, wanted: Any) -> bool:
        attr = node.attributes.get(name)
        if attr is not None and attr.is_ref():
            return False
        if attr is None:
            value = attribute_default(node, name, self._facts.opset(node, node.domain))
        else:
            value = attr.value
        return same_attribute(value, wanted)


def _plausible(p: Op, node: ir.Node) -> bool:
    """Whether the inputs' kinds fit: a cheap test that turns away most nodes before real matching."""
    inputs, patterns = node.inputs, p.inputs
    count = len(patterns)
    if len(inputs) > count:
        if not p.open and any(v is not None for v in inputs[count:]):
            return False
    elif len(inputs) < count:
        inputs = (*inputs, *(None,) * (count - len(inputs)))
    if all(map(_fits, patterns, inputs)):
        return True
    return (
        p.commutative
        and count >= 2
        and _fits(patterns[0], inputs[1])
        and _fits(patterns[1], inputs[0])
    )


def _fits(p: Pattern, v: ir.Value | None) -> bool:
    kind = type(p)
    if kind is Var:
        return v is not None or p.optional  # type: ignore[attr-defined]
    if kind is OneOf:
        return any(_fits(a, v) for a in p.alternatives)  # type: ignore[attr-defined]
    if v is None:
        return kind is Const and p.optional  # type: ignore[attr-defined]
    node = v.producer()
    if kind is Const:
        return v.const_value is not None if node is None else node.op_type == "Constant"
    return node is not None and node.op_type in p.types  # type: ignore[attr-defined]


def same_attribute(value: Any, wanted: Any) -> bool:
    """Compares attribute values; sequences compare as lists."""
    if isinstance(wanted, (list, tuple)):
        return isinstance(value, (list, tuple)) and list(value) == list(wanted)
    return bool(value == wanted)


def uniform(facts: Facts, v: ir.Value) -> float | None:
    """Returns the one number that all elements of constant ``v`` equal, else None.

    Integers beyond 2**53, complex numbers, strings and NaN give None, as do empty tensors.
    """
    tensor = facts.const_tensor(v)
    if tensor is None or tensor.size == 0 or tensor.nbytes > _SCALAR_LIMIT:
        return None
    array = facts.const(v)
    if array is None or array.dtype.kind in "OUSc":
        return None
    flat = array.reshape(-1)
    first = flat[0]
    if not bool(np.all(flat == first)):
        return None
    number = float(first)
    if array.dtype.kind in "iu" and int(first) != int(number):
        return None
    return number
