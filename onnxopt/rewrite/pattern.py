"""Patterns as data: what a rule looks for, written as nested operator calls.

A pattern is anchored at the node whose outputs a rule replaces (the *root*) and reaches backwards
through that node's inputs::

    op.Relu(op.Conv(Var("x"), Const("w"), bind="conv"), bind="relu")

Patterns carry no behaviour of their own; `onnxopt.rewrite.matcher` interprets them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Pattern:
    """Base of all patterns on a value."""


@dataclass(frozen=True)
class Var(Pattern):
    """Any value, bound to ``name``; the same name twice must bind the same value.

    Attributes:
        name: The name under which the match holds the value.
        optional: Whether the input may be absent.
    """

    name: str
    optional: bool = False


@dataclass(frozen=True)
class Const(Pattern):
    """A constant: an initializer nobody can override, or the output of a ``Constant`` node.

    Attributes:
        name: The name under which the match holds the value.
        optional: Whether the input may be absent.
        equals: If given, every element must equal this number exactly.
        near: If given, every element must lie within 1e-3 relative of this number; for constants such
            as the square root of two, which exporters round in many ways.
    """

    name: str = ""
    optional: bool = False
    equals: float | None = None
    near: float | None = None


@dataclass(frozen=True)
class Op(Pattern):
    """A node of one of ``types``, and the value at its output ``output``.

    Attributes:
        types: Operator types in ``domain``.
        inputs: Patterns for the inputs in order. Trailing optional patterns may be absent.
        bind: The name under which the match holds the node; the same name twice must bind the same node.
        domain: The operator domain; ``""`` is ONNX's own.
        attrs: Attributes that must be present, or have the schema's default, with this value.
        commutative: Whether the first two inputs may come in either order.
        shared: Whether the value may have other uses, or be a graph output. The node then stays.
        output: Which output of the node is meant.
        open: Whether more inputs than the patterns name are accepted.
    """

    types: tuple[str, ...]
    inputs: tuple[Pattern, ...] = ()
    bind: str = ""
    domain: str = ""
    attrs: Mapping[str, Any] = field(default_factory=dict)
    commutative: bool = False
    shared: bool = False
    output: int = 0
    open: bool = False

    def __hash__(self) -> int:
        return id(self)


@dataclass(frozen=True)
class OneOf(Pattern):
    """The first of several alternatives that matches."""

    alternatives: tuple[Pattern, ...]


COMMUTATIVE = frozenset(
    {"Add", "Mul", "And", "Or", "Xor", "Equal", "BitwiseAnd", "BitwiseOr", "BitwiseXor"}
)


def _as_pattern(item: Pattern | str | float) -> Pattern:
    if isinstance(item, Pattern):
        return item
    if isinstance(item, str):
        return Var(item)
    return Const(equals=float(item))


class OpFactory:
    """Writes `Op` patterns: ``op.Add("x", 0.0)``; ``op("Add", "Sub")("x", "y")`` for several types.

    A string stands for ``Var(name)``, a number for ``Const(equals=number)``, a trailing ``...`` for
    any further inputs. Operators that commute by their specification match in both orders.
    """

    def __init__(self, domain: str = "") -> None:
        self._domain = domain

    def __getattr__(self, op_type: str) -> OpCall:
        if op_type.startswith("__"):
            raise AttributeError(op_type)
        return OpCall((op_type,), self._domain)

    def __call__(self, *op_types: str) -> OpCall:
        return OpCall(op_types, self._domain)


@dataclass(frozen=True)
class OpCall:
    """One or several operator types, waiting for the patterns of their inputs."""

    types: tuple[str, ...]
    domain: str

    def __call__(
        self,
        *inputs: Any,
        bind: str = "",
        shared: bool = False,
        output: int = 0,
        commutative: bool | None = None,
        **attrs: Any,
    ) -> Op:
        is_open = bool(inputs) and inputs[-1] is ...
        patterns = tuple(_as_pattern(i) for i in (inputs[:-1] if is_open else inputs))
        commutes = all(t in COMMUTATIVE for t in self.types) and self.domain == ""
        return Op(
            types=self.types,
            inputs=patterns,
            bind=bind,
            domain=self.domain,
            attrs=attrs,
            commutative=commutes if commutative is None else commutative,
            shared=shared,
            output=output,
            open=is_open,
        )


op = OpFactory()
ms = OpFactory("com.microsoft")


def one_of(*alternatives: Pattern | str) -> OneOf:
    """Builds a pattern that accepts any of ``alternatives``, tried in order."""
    return OneOf(tuple(_as_pattern(a) for a in alternatives))


def depth(pattern: Pattern) -> int:
    """Returns how many nodes deep ``pattern`` reaches, counting the root as one."""
    if isinstance(pattern, Op):
        return 1 + max((depth(p) for p in pattern.inputs), default=0)
    if isinstance(pattern, OneOf):
        return max(depth(p) for p in pattern.alternatives)
    return 0
