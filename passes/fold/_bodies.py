"""Whether two bodies compute the same, by a walk over both in step."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.analysis.effects import has_subgraphs

from .._attributes import attribute_key, tensor_key


def same_bodies(a: ir.Graph, b: ir.Graph) -> bool:
    """Tells whether two bodies without inputs consist of the same nodes in the same order.

    Bodies that hold further bodies count as different.
    """
    if len(a) != len(b) or len(a.outputs) != len(b.outputs):
        return False
    twin: dict[ir.Value, ir.Value] = {}
    for left, right in zip(a, b, strict=True):
        if not _same_node(left, right, twin):
            return False
        twin.update(zip(left.outputs, right.outputs, strict=True))
    return all(_same_value(x, y, twin) for x, y in zip(a.outputs, b.outputs, strict=True))


def _same_node(a: ir.Node, b: ir.Node, twin: dict[ir.Value, ir.Value]) -> bool:
    if a.op_identifier() != b.op_identifier() or a.attributes.keys() != b.attributes.keys():
        return False
    if len(a.inputs) != len(b.inputs) or len(a.outputs) != len(b.outputs):
        return False
    if has_subgraphs(a) or has_subgraphs(b):
        return False
    if any(attribute_key(v) != attribute_key(b.attributes[k]) for k, v in a.attributes.items()):
        return False
    return all(_same_value(x, y, twin) for x, y in zip(a.inputs, b.inputs, strict=True))


def _same_value(a: ir.Value | None, b: ir.Value | None, twin: dict[ir.Value, ir.Value]) -> bool:
    if a is None or b is None or a is b:
        return a is b
    if a in twin:
        return twin[a] is b
    held, other = a.const_value, b.const_value
    if held is None or other is None or a.is_graph_input() or b.is_graph_input():
        return False
    return tensor_key(held) == tensor_key(other)
