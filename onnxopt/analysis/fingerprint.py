"""What a model computes from, as a short text: equal for models that differ in names and weights' values only.

Counted are operators, attributes, connections, inputs and outputs, and the types and shapes of weights; the values
of small integer constants as well, since they are axes, shapes and the like. Timings hold for all models of one
fingerprint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import onnx_ir as ir

_SMALL = 64
_DIGITS = 32


def fingerprint(model: ir.Model) -> str:
    """Returns 32 hexadecimal digits."""
    digest = hashlib.sha256()
    for line in _lines(model):
        digest.update(line.encode())
        digest.update(b"\n")
    return digest.hexdigest()[:_DIGITS]


def _lines(model: ir.Model) -> Iterator[str]:
    yield str(sorted(model.opset_imports.items()))
    yield from _Names().graph(model.graph)
    for key in sorted(model.functions):
        function = model.functions[key]
        yield f"function {key} {list(function.attributes)}"
        yield from _Names().graph(function.graph)


class _Names:
    """Numbers values in the order in which they appear."""

    def __init__(self) -> None:
        self._numbers: dict[ir.Value, int] = {}

    def graph(self, graph: ir.Graph) -> Iterator[str]:
        """Describes a graph and those inside it, a node a line."""
        yield f"inputs {[(value.name, _typed(value)) for value in graph.inputs]}"
        for value in graph.inputs:
            self._number(value)
        for node in graph:
            yield f"{node.domain}.{node.op_type} {[self._read(value) for value in node.inputs]}"
            for name in sorted(node.attributes):
                yield from self._attribute(node.attributes[name])
            yield f"makes {[self._number(value) for value in node.outputs]}"
        yield f"outputs {[(value.name, self._read(value)) for value in graph.outputs]}"

    def _number(self, value: ir.Value) -> int:
        return self._numbers.setdefault(value, len(self._numbers))

    def _read(self, value: ir.Value | None) -> str:
        if value is None:
            return "-"
        known = value in self._numbers
        number = self._number(value)
        tensor = value.const_value if value.is_initializer() else None
        return f"{number}" if known or tensor is None else f"{number} {_constant(tensor)}"

    def _attribute(self, attribute: ir.Attr) -> Iterator[str]:
        if attribute.is_ref():
            yield f"{attribute.name} @{attribute.ref_attr_name}"
        elif attribute.type == ir.AttributeType.GRAPH:
            yield from self.graph(attribute.as_graph())
        elif attribute.type == ir.AttributeType.GRAPHS:
            for graph in attribute.as_graphs():
                yield from self.graph(graph)
        elif attribute.type == ir.AttributeType.TENSOR:
            yield f"{attribute.name} {_constant(attribute.as_tensor())}"
        else:
            yield f"{attribute.name} {attribute.value!r}"


def _typed(value: ir.Value) -> str:
    return f"{value.dtype} {value.shape}"


def _constant(tensor: ir.TensorProtocol) -> str:
    text = f"{tensor.dtype} {list(tensor.shape)}"
    integers = tensor.dtype in (ir.DataType.INT64, ir.DataType.INT32)
    if integers and tensor.size <= _SMALL:
        return f"{text} {tensor.numpy().ravel().tolist()}"
    return text
