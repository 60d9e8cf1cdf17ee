"""The read-only view of what a pattern matched: all that a rule's function sees of the graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from ..analysis.dims import Dim
from ..analysis.facts import Facts
from ..targets.target import GENERIC, Target
from .matcher import Bindings, uniform
from .pattern import Op
from .schema import attribute_default


class Declined(Exception):
    """Raised by `Match` helpers when a rule cannot go on; the driver records the reason."""


class Match:
    """What a rule's function sees: the matched values and nodes, and facts about them. Read-only."""

    def __init__(
        self, root: ir.Node, bindings: Bindings, facts: Facts, target: Target = GENERIC
    ) -> None:
        self.root = root
        self.facts = facts
        self.target = target
        self._bindings = bindings

    def node(self, name: str) -> ir.Node:
        """Returns the node bound to ``name``."""
        return self._bindings.nodes[name]

    def has(self, name: str) -> bool:
        """Tells whether ``name`` is bound to a node, or to a value that is present."""
        return name in self._bindings.nodes or self._bindings.values.get(name) is not None

    def value(self, name: str) -> ir.Value:
        """Returns the value bound to ``name``.

        Raises:
            Declined: The input is absent.
        """
        found = self._bindings.values.get(name)
        if found is None:
            raise Declined(f"input {name} is absent")
        return found

    def maybe(self, name: str) -> ir.Value | None:
        """Returns the value bound to ``name``, or None where the input is absent."""
        return self._bindings.values.get(name)

    def nodes(self) -> list[ir.Node]:
        """Returns every matched node, the root first."""
        return [node for node, _ in self._bindings.inner]

    def inner(self) -> list[tuple[ir.Node, Op]]:
        """Returns the matched nodes below the root with the patterns they matched."""
        return [(n, p) for n, p in self._bindings.inner if n is not self.root]

    def shape(self, v: str | ir.Value) -> tuple[Dim, ...]:
        """Returns the shape of a value.

        Raises:
            Declined: The rank is unknown.
        """
        value = self.value(v) if isinstance(v, str) else v
        shape = self.facts.shape(value)
        if shape is None:
            raise Declined(f"the rank of {value.name} is unknown")
        return shape

    def static_shape(self, v: str | ir.Value) -> tuple[int, ...]:
        """Returns the shape of a value whose dims are all known.

        Raises:
            Declined: A dim or the rank is unknown.
        """
        value = self.value(v) if isinstance(v, str) else v
        shape = self.facts.static_shape(value)
        if shape is None:
            raise Declined(f"the shape of {value.name} is not static")
        return shape

    def rank(self, v: str | ir.Value) -> int:
        """Returns the rank of a value, or declines where it is unknown."""
        return len(self.shape(v))

    def dtype(self, v: str | ir.Value) -> ir.DataType:
        """Returns the element type of a value.

        Raises:
            Declined: The type is unknown.
        """
        value = self.value(v) if isinstance(v, str) else v
        dtype = self.facts.dtype(value)
        if dtype is None:
            raise Declined(f"the type of {value.name} is unknown")
        return dtype

    def tensor(self, v: str | ir.Value) -> ir.TensorProtocol:
        """Returns the tensor behind a constant, without reading it.

        Raises:
            Declined: The value is not a constant.
        """
        value = self.value(v) if isinstance(v, str) else v
        tensor = self.facts.const_tensor(value)
        if tensor is None:
            raise Declined(f"{value.name} is not a constant")
        return tensor

    def const(self, v: str | ir.Value, max_bytes: int = 1 << 20) -> np.ndarray[Any, Any]:
        """Reads a constant of at most ``max_bytes``.

        Raises:
            Declined: The value is not a constant, or is larger.
        """
        value = self.value(v) if isinstance(v, str) else v
        array = self.facts.const(value, max_bytes)
        if array is None:
            raise Declined(f"{value.name} is not a constant of at most {max_bytes} bytes")
        return array

    def uniform(self, v: str | ir.Value) -> float | None:
        """Returns the number all elements of a constant equal, else None."""
        value = self.value(v) if isinstance(v, str) else v
        return uniform(self.facts, value)

    def ints(self, v: str | ir.Value) -> list[int]:
        """Returns a constant (or fully known) integer vector, or declines."""
        value = self.value(v) if isinstance(v, str) else v
        content = self.facts.content(value)
        if isinstance(content, int):
            return [content]
        if isinstance(content, tuple) and all(isinstance(d, int) for d in content):
            return [int(d) for d in content if isinstance(d, int)]
        return [int(i) for i in self.const(value).reshape(-1)]

    def attr(self, node: str | ir.Node, name: str, default: Any = None) -> Any:
        """Returns an attribute's value, the schema's default, or ``default``.

        Raises:
            Declined: The attribute refers to a parameter of the enclosing function.
        """
        target = self.node(node) if isinstance(node, str) else node
        attr = target.attributes.get(name)
        if attr is None:
            found = attribute_default(target, name, self.opset(target, target.domain))
            return default if found is None else found
        if attr.is_ref():
            raise Declined(f"attribute {name} is a parameter of the function")
        value = attr.value
        return list(value) if isinstance(value, tuple) else value

    def opset(self, node: ir.Node | None = None, domain: str = "") -> int:
        """Returns the version of ``domain`` in force at a node; 0 where it is not imported."""
        return self.facts.opset(node or self.root, domain) or 0
