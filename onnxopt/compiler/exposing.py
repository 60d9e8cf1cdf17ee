"""Values inside of a model as outputs of it, those in the bodies of If, Loop and Scan too.

A value of a body leaves it as a row of fixed length, so that it may have another shape in each iteration: its
largest magnitude, then elements spread over it. The node that holds the body returns the row of each iteration, of a branch
that is not taken zeros. A body in another body's node is passed through both.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from ..analysis.effects import subgraphs
from ..analysis.facts import Facts
from ..rewrite.addresses import Addresses
from ..rewrite.scopes import owner

_SPREAD = 1021
"""Elements in a row; a prime, so that they do not all lie in the same few columns."""
_PREFIX = "onnxopt.inside:"
_OLDEST = 10
"""The first opset whose ``Slice`` takes its bounds as inputs."""


class Inside:
    """The values of a model by the path to them, which is the same in the models made of it.

    Args:
        model: The model; it is not changed.
    """

    def __init__(self, model: ir.Model) -> None:
        self.facts = Facts(model)
        self.addresses = Addresses(model)
        self._model = model
        self.values: dict[str, ir.Value] = {}
        for node in self.addresses.nodes:
            if node.op_type != "Constant" and self._leaves(node):
                self.values.update((self.key(value), value) for value in node.outputs)

    def key(self, value: ir.Value) -> str:
        """The path to what a node makes."""
        maker = value.producer()
        assert maker is not None
        return f"{self.addresses.path(owner(maker))}{value.name}"

    def exposed(self, outputs: Mapping[str, str], *, first: bool) -> ir.Model:
        """A copy of the model that returns values inside of it as well.

        Args:
            outputs: What each output is called, by the key of the value; outputs of the model are left as they are.
            first: Whether of loops the first iteration alone is returned.
        """
        copy = self._model.clone()
        there = Inside(copy)
        returned = {v.name for v in copy.graph.outputs}
        for key, name in outputs.items():
            value = there.values[key]
            dtype = there.facts.dtype(value)
            if there.addresses.path(owner(_maker(value))):
                value = _Lift(there, name, first).out_of_bodies(value)
            elif value.name in returned:
                continue
            elif value.type is None and dtype is not None:
                value.type = ir.TensorType(dtype)
            copy.graph.outputs.append(value)
        return copy

    def _leaves(self, node: ir.Node) -> bool:
        """Whether what a node makes can be passed out of the bodies around it."""
        around = list(self.addresses.around(node))
        return all(_passes_on(holder, self.facts) for holder in around)


def _passes_on(holder: ir.Node, facts: Facts) -> bool:
    known = holder.domain in ("", "ai.onnx") and holder.op_type in ("If", "Loop", "Scan")
    return known and (facts.opset(holder) or 0) >= _OLDEST


def _maker(value: ir.Value) -> ir.Node:
    maker = value.producer()
    assert maker is not None
    return maker


class _Lift:
    """Passes one value out of the bodies around it."""

    def __init__(self, there: Inside, name: str, first: bool) -> None:
        self._addresses = there.addresses
        self._name = name
        self._first = first
        self._made = 0

    def out_of_bodies(self, value: ir.Value) -> ir.Value:
        """The value of the main graph that holds the rows."""
        graph = owner(_maker(value))
        holder = self._addresses.holder(graph)
        while holder is not None:
            value = self._pass_out(holder, graph, self._row(graph, value))
            graph = owner(holder)
            holder = self._addresses.holder(graph)
        value.name, value.type = self._name, ir.TensorType(ir.DataType.FLOAT)
        return value

    def _pass_out(self, holder: ir.Node, graph: ir.Graph, row: ir.Value) -> ir.Value:
        """Makes a row an output of the node whose body makes it."""
        graph.outputs.append(row)
        if holder.op_type == "If":
            for other in subgraphs(holder):
                if other is not graph:
                    zeros = ir.tensor(np.zeros(_SPREAD + 1, np.float32))
                    other.outputs.append(self._constant(other, zeros))
        for name in ("scan_output_axes", "scan_output_directions"):
            if name in holder.attributes:
                listed = [*holder.attributes[name].as_ints(), 0]
                holder.attributes[name] = ir.AttrInt64s(name, listed)
        holder.resize_outputs(len(holder.outputs) + 1)
        result = holder.outputs[-1]
        result.name, result.type = self._fresh(), ir.TensorType(ir.DataType.FLOAT)
        if not self._first or holder.op_type == "If":
            return result
        bounds = [self._integers(owner(holder), [bound]) for bound in (0, 1)]
        return self._node(owner(holder), "Slice", [result, *bounds])

    def _row(self, graph: ir.Graph, value: ir.Value) -> ir.Value:
        """The largest magnitude of a value, and elements of it at equal distances; of nothing, zeros."""
        to = ir.AttrInt64("to", int(ir.DataType.FLOAT))
        single = self._node(graph, "Cast", [value], to)
        flat = self._node(graph, "Reshape", [single, self._integers(graph, [-1])])
        zero = self._constant(graph, ir.tensor(np.zeros(1, np.float32)))
        some = self._node(graph, "Concat", [flat, zero], ir.AttrInt64("axis", 0))
        peak = self._node(graph, "ReduceMax", [self._node(graph, "Abs", [some])])
        size = self._node(graph, "Size", [single])
        steps = self._integers(graph, list(range(_SPREAD)))
        scaled = self._node(graph, "Mul", [steps, size])
        places = self._node(graph, "Div", [scaled, self._integers(graph, [_SPREAD])])
        spread = self._node(graph, "Gather", [some, places])
        return self._node(graph, "Concat", [peak, spread], ir.AttrInt64("axis", 0))

    def _node(
        self, graph: ir.Graph, op_type: str, inputs: list[ir.Value], *attributes: ir.Attr
    ) -> ir.Value:
        node = ir.Node("", op_type, inputs, attributes, name=self._fresh())
        node.outputs[0].name = self._fresh()
        graph.append(node)
        return node.outputs[0]

    def _integers(self, graph: ir.Graph, numbers: list[int]) -> ir.Value:
        return self._constant(graph, ir.tensor(np.array(numbers, np.int64)))

    def _constant(self, graph: ir.Graph, tensor: ir.TensorProtocol) -> ir.Value:
        return self._node(graph, "Constant", [], ir.AttrTensor("value", tensor))

    def _fresh(self) -> str:
        self._made += 1
        return f"{_PREFIX}{self._name}:{self._made}"
