"""Carrying out a plan: types, constants, and one conversion for each value that crosses a border."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.pipeline.base import Context

from ._constants import rounded
from ._counterparts import Counterparts
from ._operands import SINGLE, TYPE_ATTRIBUTES, spelt
from ._plan import Plan


class Conversion:
    """Changes a model as planned.

    Args:
        context: The model and the services; its facts must be those from before.
        graphs: The graphs to change, outer ones first.
        plan: The decisions.
    """

    def __init__(self, context: Context, graphs: list[ir.Graph], plan: Plan) -> None:
        self._facts = context.facts
        self._names = context.editor.names
        self._graphs = graphs
        self._plan = plan
        self._other = Counterparts(context, plan)

    def run(self) -> None:
        """Changes every graph."""
        nodes = [node for graph in self._graphs for node in graph]
        for value in self._plan.converted:
            value.type = ir.TensorType(self._plan.to)
        for node in nodes:
            if node in self._plan.short:
                _retype(node, self._plan)
        for node in nodes:
            self._read(node)
        for graph in self._graphs:
            self._return(graph)

    def _read(self, node: ir.Node) -> None:
        """Gives a node its operands in the types it wants."""
        for index, value in enumerate(node.inputs):
            if value is None or self._facts.dtype(value) != SINGLE:
                continue
            wanted = self._plan.wants(node, index)
            if wanted is not None:
                node.replace_input_with(index, self._other.of(value, wanted))

    def _return(self, graph: ir.Graph) -> None:
        """Gives a graph's outputs the types they are to have."""
        for index, value in enumerate(graph.outputs):
            if self._facts.dtype(value) != SINGLE:
                continue
            wanted = self._plan.returned_as(graph, index)
            given = self._other.of(value, wanted)
            if given is not value:
                if graph not in self._plan.holders:
                    self._swap_names(value, given, wanted)
                graph.outputs[index] = given

    def _swap_names(self, old: ir.Value, new: ir.Value, dtype: ir.DataType) -> None:
        """Lets a conversion take the place of an output of the model, with all that is said of it."""
        name = old.name or ""
        old.name = self._names.fresh(f"{name}_{spelt(old.dtype or dtype)}")
        new.name = name
        new.type, new.shape, new.doc_string = ir.TensorType(dtype), old.shape, old.doc_string
        new.metadata_props.update(old.metadata_props)
        new.meta.update(old.meta)


def _retype(node: ir.Node, plan: Plan) -> None:
    """Gives a node's results their new type, also where an attribute says it."""
    for index in plan.operands[node].outputs:
        node.outputs[index].type = ir.TensorType(plan.to)
    name = TYPE_ATTRIBUTES.get(node.op_type) if node.domain == "" else None
    if name is None or not plan.operands[node].outputs:
        return
    if name == "value":
        old = node.attributes.get(name)
        filling = ir.tensor([0.0], SINGLE) if old is None else old.as_tensor()
        node.attributes[name] = ir.AttrTensor(name, rounded(filling, plan.to))
    else:
        node.attributes[name] = ir.AttrInt64(name, int(plan.to))
