"""Values inside the branches of If made values of the main graph, so that they can be outputs.

The If gets another output: of the branch that holds the value, the value itself; of the other one, an empty tensor,
which observers pass over. So a value is seen in those samples that take its branch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import onnx_ir as ir

_INNER = "onnxopt.inner:"
_EMPTY = "onnxopt.empty:"


def inner_values(model: ir.Model) -> dict[str, ir.Value]:
    """What nodes compute in branches, by name; not in loops, and no value whose name another one bears, too."""
    found: dict[str, list[ir.Value]] = {}
    for node in model.graph:
        for value in _in_branches(node):
            found.setdefault(value.name or "", []).append(value)
    outer = {value.name for node in model.graph for value in node.outputs}
    return {
        name: values[0]
        for name, values in found.items()
        if name and len(values) == 1 and name not in outer
    }


def _in_branches(node: ir.Node) -> Iterator[ir.Value]:
    for graph in _branches(node):
        for inner in graph:
            yield from inner.outputs
            yield from _in_branches(inner)


def _branches(node: ir.Node) -> list[ir.Graph]:
    if node.op_type != "If" or node.domain not in ("", "ai.onnx"):
        return []
    return [node.attributes[name].as_graph() for name in ("then_branch", "else_branch")]


def lift(model: ir.Model, names: Sequence[str]) -> None:
    """Makes values in branches, of `inner_values`, values of the main graph under the same names."""
    holders = {
        graph: node for node in model.graph.all_nodes() for graph in _branches(node)
    }  # nodes before those inside them
    inner = inner_values(model)
    for name in names:
        value, graph = inner[name], _graph_of(inner[name])
        for depth in range(len(holders)):
            if graph not in holders:
                break
            value.name = f"{_INNER}{depth}:{name}"
            value = _pass_out(holders[graph], graph, value, name)
            graph = _graph_of(value)


def _graph_of(value: ir.Value) -> ir.Graph:
    """The graph that a value is computed in; not one of a function."""
    producer = value.producer()
    assert producer is not None
    assert isinstance(producer.graph, ir.Graph)
    return producer.graph


def _pass_out(node: ir.Node, graph: ir.Graph, value: ir.Value, name: str) -> ir.Value:
    """Makes a value of a branch an output of the If; returns that."""
    passed = ir.Node("", "Identity", [value])
    passed.outputs[0].name = f"{value.name}:out"
    passed.outputs[0].type = value.type
    graph.append(passed)
    graph.outputs.append(passed.outputs[0])
    for other in _branches(node):
        if other is not graph:
            other.outputs.append(_empty(other, value))
    node.resize_outputs(len(node.outputs) + 1)
    result = node.outputs[-1]
    result.name, result.type = name, value.type
    return result


def _empty(graph: ir.Graph, like: ir.Value) -> ir.Value:
    """An empty tensor, of the rank of a value if that is known."""
    dtype = like.dtype or ir.DataType.FLOAT
    shape = [0] * max(len(like.shape) if like.shape is not None else 1, 1)
    tensor = ir.tensor(np.zeros(shape, dtype.numpy()), dtype=dtype)
    node = ir.Node("", "Constant", [], attributes=[ir.AttrTensor("value", tensor)])
    node.outputs[0].name = f"{_EMPTY}{like.name}"
    node.outputs[0].dtype = dtype
    node.outputs[0].shape = ir.Shape(shape)
    graph.append(node)
    return node.outputs[0]
