"""One use of a value that carries a graph input, and what the file says of the operands around it.

Weights are never read: only small constants are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from onnxopt.runtime.facts import Bound, Dim, Facts

_SMALL = 1024


@dataclass(frozen=True)
class Site:
    """One use of a value that carries ``scale * x + offset`` (over ``divisor``) of an input x."""

    node: ir.Node
    index: int
    facts: Facts
    scale: float = 1.0
    offset: float = 0.0
    divisor: float = 1.0
    whole: bool = True
    """The value has the input's own shape."""

    def operand(self, index: int) -> ir.Value | None:
        """Another operand of the same node."""
        return self.node.inputs[index] if index < len(self.node.inputs) else None

    def bound(self, size: Dim | None, *, inclusive: bool = False, least: int = 0) -> None:
        """Demand ``least <= value < size`` (``<= size`` when inclusive)."""
        if size is None:
            self.facts.unknown_bound = True
            return
        self.facts.bounds.append(
            Bound(size, self.scale / self.divisor, self.offset / self.divisor, inclusive, least)
        )


def attribute(node: ir.Node, name: str, default: int) -> int:
    """An integer attribute of a node."""
    found = node.attributes.get(name)
    return default if found is None or found.is_ref() else found.as_int()


def constant(value: ir.Value | None, limit: int = _SMALL) -> np.ndarray | None:
    """The array of a small constant, else None; large weights are never read."""
    if value is None:
        return None
    tensor = value.const_value
    producer = value.producer()
    if tensor is None and producer is not None and producer.op_type == "Constant":
        return _constant_node(producer, limit)
    if tensor is None or value.is_graph_input() or tensor.size > limit:
        return None
    return np.asarray(tensor.numpy())


def _constant_node(node: ir.Node, limit: int) -> np.ndarray | None:
    for name, attr in node.attributes.items():
        if attr.is_ref():
            return None
        if name == "value":
            tensor = attr.as_tensor()
            return np.asarray(tensor.numpy()) if tensor.size <= limit else None
        if name.startswith("value_"):
            return np.asarray(attr.value)
    return None


def dims(value: ir.Value | None) -> list[Dim] | None:
    """Shape of a value as sizes and names, '' for unnamed dims; None when unknown."""
    shape = None if value is None else value.shape
    if shape is None and value is not None:
        array = constant(value)
        shape = None if array is None else ir.Shape(array.shape)
    if shape is None:
        return None
    return [dim if isinstance(dim, int) else (dim.value or "") for dim in shape]


def dim_of(value: ir.Value | None, axis: int) -> Dim | None:
    """One dim of a value; None when unknown or unnamed."""
    shape = dims(value)
    if shape is None or not -len(shape) <= axis < len(shape):
        return None
    return None if shape[axis] == "" else shape[axis]
