"""What the file itself says of a value, how two accounts of a value are merged, and where a new node belongs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx_ir as ir

from onnxopt.analysis.context import Fact, Shape
from onnxopt.analysis.dims import Dim, fresh, is_unknown, symbol

_NO_NAMES = frozenset(
    {"", "?", "*", "-1", "None", "none", "null", "Any", "any", "Unknown", "unknown"}
)
"""What converters write for a dimension without a name; two of them need not be equal."""


def declared_dim(dim: int | ir.SymbolicDim, named: bool) -> Dim:
    """A dimension that the file states.

    Args:
        dim: The dimension.
        named: Whether its name counts. In a function it means nothing outside of it, and not the same in two calls.
    """
    if isinstance(dim, int):
        return dim if dim >= 0 else fresh()
    if dim.value is None or dim.value in _NO_NAMES or not named:
        return fresh()
    return symbol(dim.value)


def declare_dtype(value: ir.Value, fact: Fact) -> None:
    """Takes over the type that the file states for a value."""
    declared = value.type
    if isinstance(declared, ir.TensorType):
        if declared.dtype != ir.DataType.UNDEFINED:
            fact.dtype = declared.dtype
    elif declared is not None:
        fact.container = declared


def refine(old: Shape | None, new: Shape | None) -> Shape | None:
    """The shape of a value that is known by two accounts, spelt as the old one unless the new one knows more."""
    if old is None or new is None or len(old) != len(new):
        return old if new is None else new
    return tuple(_refine_dim(a, b) for a, b in zip(old, new, strict=True))


def _refine_dim(old: Dim, new: Dim) -> Dim:
    if isinstance(new, int) or (is_unknown(old) and not is_unknown(new)):
        return new
    return old


def graphs_of(values: Iterable[ir.Value | None]) -> Iterator[ir.Graph]:
    """The graphs that values lie in, also when only their producers' inputs do."""
    pending = [value for value in values if value is not None]
    seen = 0
    while pending and seen < 64:
        value = pending.pop()
        seen += 1
        if value.graph is not None:
            yield value.graph
        elif (node := value.producer()) is not None:
            pending.extend(item for item in node.inputs if item is not None)
