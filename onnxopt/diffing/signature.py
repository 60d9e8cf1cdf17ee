"""What a node does, apart from what it reads: operator, attributes, number of results."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

import onnx.defs
import onnx_ir as ir

from onnxopt.rewrite.schema import signature

from .contents import Contents

COMMUTATIVE = frozenset(
    {"Add", "Mul", "And", "Or", "Xor", "Equal", "Max", "Min", "Sum", "Mean", "BitwiseAnd", "BitwiseOr", "BitwiseXor"}
)  # fmt: skip
_NO_DEFAULT = object()


def operator(node: ir.Node) -> tuple[str, str]:
    """Returns domain and op type; the standard domain is ``""``."""
    return ("" if node.domain == "ai.onnx" else node.domain, node.op_type)


def op_name(node: ir.Node) -> str:
    """Returns the operator as reports call it."""
    domain, op_type = operator(node)
    return f"{domain}.{op_type}" if domain else op_type


def is_commutative(node: ir.Node) -> bool:
    """Whether the order of a node's inputs is all the same."""
    return operator(node)[0] == "" and node.op_type in COMMUTATIVE


def attributes(node: ir.Node, version: int | None, contents: Contents) -> dict[str, Hashable]:
    """Returns the attributes that are no graphs and differ from the operator's defaults."""
    domain, op_type = operator(node)
    found = None if version is None else signature(op_type, version, domain)
    defaults = {} if found is None else dict(found.defaults)
    result = {}
    for name, attribute in node.attributes.items():
        if attribute.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS):
            continue
        value = _value(attribute, contents)
        if value != _plain(defaults.get(name, _NO_DEFAULT)):
            result[name] = value
    return result


def _value(attribute: ir.Attr, contents: Contents) -> Hashable:
    if attribute.is_ref():
        return ("attribute of the function", attribute.ref_attr_name)
    if attribute.type == ir.AttributeType.TENSOR:
        return ("content", contents.of(attribute.as_tensor()))
    if attribute.type == ir.AttributeType.TENSORS:
        return ("content", *(contents.of(tensor) for tensor in attribute.as_tensors()))
    return _plain(attribute.value)


def _plain(value: Any) -> Hashable:
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, (list, tuple)):
        return tuple(map(_plain, value))
    if isinstance(value, Hashable):
        return value
    return repr(value)


def bodies(node: ir.Node) -> Iterator[tuple[str, ir.Graph]]:
    """Yields the graphs among a node's attributes, each with its name."""
    for name, attribute in node.attributes.items():
        if attribute.is_ref():
            continue
        if attribute.type == ir.AttributeType.GRAPH:
            yield name, attribute.as_graph()
        elif attribute.type == ir.AttributeType.GRAPHS:
            for position, graph in enumerate(attribute.as_graphs()):
                yield f"{name}[{position}]", graph


def result_count(node: ir.Node, version: int | None) -> int:
    """Returns the number of a node's results, without optional ones at the end that nothing reads."""
    count = len(node.outputs)
    optional = _optional_results(*operator(node), version)
    while count > 1 and count - 1 in optional and _unread(node.outputs[count - 1]):
        count -= 1
    return count


def _unread(value: ir.Value) -> bool:
    return not value.name or not (value.uses() or value.is_graph_output())


_OPTIONAL: dict[tuple[str, str, int], frozenset[int]] = {}


def _optional_results(domain: str, op_type: str, version: int | None) -> frozenset[int]:
    key = (domain, op_type, version or 0)
    if key not in _OPTIONAL:
        try:
            outputs = onnx.defs.get_schema(op_type, version or 1, domain).outputs
        except onnx.defs.SchemaError:
            outputs = []
        option = onnx.defs.OpSchema.FormalParameterOption.Optional
        _OPTIONAL[key] = frozenset(i for i, o in enumerate(outputs) if o.option == option)
    return _OPTIONAL[key]
