"""Computing values of a region on the runtime: one model, one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from onnxopt.analysis.facts import Facts
from onnxopt.errors import OnnxoptError
from onnxopt.pipeline.base import Evaluate

from ._region import Region

Array = np.ndarray[Any, Any]

_IR_VERSION = 10


class Unevaluable(Exception):
    """The runtime could not compute something; the message says why, in one line."""


def evaluate(
    run: Evaluate, region: Region, opsets: Mapping[str, int], values: Sequence[ir.Value]
) -> list[Array]:
    """Computes values of a region.

    Args:
        run: The runtime.
        region: The region.
        opsets: The opset versions in force there.
        values: What to compute.

    Raises:
        Unevaluable: The runtime refused.
    """
    nodes = [v.producer() for v in values]
    model = _Model(region.facts)
    for node in region.upstream(list(dict.fromkeys(n for n in nodes if n is not None))):
        model.add(node)
    return execute(run, model.finish(opsets, values), {})


def execute(run: Evaluate, model: onnx.ModelProto, feeds: Mapping[str, Array]) -> list[Array]:
    """Runs a model; every way in which the runtime can fail becomes one."""
    try:
        return [np.asarray(result) for result in run(model, feeds)]
    except OnnxoptError:
        raise
    except Exception as error:
        raise Unevaluable(str(error).partition("\n")[0]) from error


def node_model(
    node: ir.Node, opsets: Mapping[str, int], present: Sequence[ir.DataType | None], output: int
) -> onnx.ModelProto:
    """Builds a model of one node, whose inputs ``i0``, ``i1``, … are fed.

    Args:
        node: The node to take after.
        opsets: The opset versions in force.
        present: The element type of each input; None where it is left out.
        output: Which output to ask for.
    """
    proto = _bare(node)
    proto.input.extend("" if dtype is None else f"i{i}" for i, dtype in enumerate(present))
    proto.output.extend("o" if i == output else "" for i in range(output + 1))
    inputs = [
        onnx.helper.make_tensor_value_info(f"i{i}", int(dtype), None)
        for i, dtype in enumerate(present)
        if dtype is not None
    ]
    graph = onnx.GraphProto(name="one", node=[proto], input=inputs)
    graph.output.add(name="o")
    return _finish(graph, opsets)


def _bare(node: ir.Node) -> onnx.NodeProto:
    proto = onnx.NodeProto(op_type=node.op_type, domain=node.domain)
    for attr in node.attributes.values():
        proto.attribute.append(ir.serde.serialize_attribute(attr))
    return proto


def _finish(graph: onnx.GraphProto, opsets: Mapping[str, int]) -> onnx.ModelProto:
    domains = {node.domain for node in graph.node}
    imports = [
        onnx.helper.make_opsetid(domain, version)
        for domain, version in opsets.items()
        if domain in domains or (domain == "ai.onnx" and "" in domains)
    ]
    return onnx.ModelProto(ir_version=_IR_VERSION, graph=graph, opset_import=imports)


class _Model:
    """Collects nodes and constants under names of its own: those of subgraphs may clash."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._graph = onnx.GraphProto(name="constants")
        self._names: dict[ir.Value, str] = {}

    def add(self, node: ir.Node) -> None:
        """Adds a node, and the constants it reads."""
        proto = _bare(node)
        proto.input.extend("" if v is None else self._read(v) for v in node.inputs)
        proto.output.extend(self._name(v) if v.name else "" for v in node.outputs)
        self._graph.node.append(proto)

    def finish(self, opsets: Mapping[str, int], values: Sequence[ir.Value]) -> onnx.ModelProto:
        """Returns the model that computes ``values``."""
        for value in values:
            self._graph.output.add(name=self._names[value])
        return _finish(self._graph, opsets)

    def _name(self, value: ir.Value) -> str:
        return self._names.setdefault(value, f"v{len(self._names)}")

    def _read(self, value: ir.Value) -> str:
        known = value in self._names
        name = self._name(value)
        if not known:
            tensor = self._facts.const_tensor(value)
            assert tensor is not None, value.name
            proto = ir.serde.serialize_tensor(tensor)
            proto.name = name
            self._graph.initializer.append(proto)
        return name
