"""Convert the model to another opset version, through onnx's own version converter.

The converter sees the graph with its weights taken out, so that the size of the model does not
matter. It knows nothing of metadata, which is put back by node name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import onnx
import onnx_ir as ir
from onnx import version_converter

from onnxopt.errors import UsageError
from onnxopt.io import from_proto, to_proto
from onnxopt.pipeline.base import Context, Pass

_SMALL = 1024


@dataclass(frozen=True)
class ConvertOpset(Pass):
    """Converts the model to another opset version.

    Attributes:
        version: The version of the default domain to convert to.
    """

    name: ClassVar[str] = "convert-opset"
    summary: ClassVar[str] = "Convert the model to another opset version."
    exact: ClassVar[bool] = False
    version: int = 0

    def run(self, context: Context) -> int:
        """Converts, or leaves alone a model that has this version.

        Raises:
            UsageError: The version does not exist, or onnx cannot convert the model to it.
        """
        model = context.model
        newest = onnx.defs.onnx_opset_version()
        if not 7 <= self.version <= newest:
            raise UsageError(
                f"cannot convert to opset {self.version}; choose one from 7 to {newest}"
            )
        if model.opset_imports.get("") == self.version:
            return 0
        if model.functions:
            raise UsageError("onnx cannot convert a model that defines functions")
        if any(v.const_value is None for v in model.graph.initializers.values()):
            raise UsageError("onnx cannot convert a model that has sparse initializers")
        weights = _take_out(model)
        try:
            converted = version_converter.convert_version(to_proto(model), self.version)
        except Exception as error:
            reason = str(error).strip().splitlines()[-1].rpartition("failed: ")[2]
            raise UsageError(f"cannot convert to opset {self.version}: {reason}") from error
        context.adopt(_put_back(converted, model, weights))
        return 1


def _take_out(model: ir.Model) -> dict[str, ir.Value]:
    """Removes the large initializers, leaving inputs of their type; returns them by name."""
    graph = model.graph
    large = {
        name: value
        for name, value in graph.initializers.items()
        if value.const_value is not None and value.const_value.nbytes > _SMALL
    }
    for name, value in large.items():
        tensor = value.const_value
        assert tensor is not None
        value.type = ir.TensorType(tensor.dtype)
        value.shape = ir.Shape(tensor.shape.numpy())
        graph.initializers.pop(name)
        if not value.is_graph_input():
            graph.inputs.append(value)
            value.meta["onnxopt.taken"] = True
    return large


def _put_back(proto: onnx.ModelProto, old: ir.Model, weights: dict[str, ir.Value]) -> ir.Model:
    new = from_proto(proto)
    inputs = {v.name: v for v in new.graph.inputs}
    for name, value in weights.items():
        stand_in = inputs[name]
        stand_in.const_value = value.const_value
        if value.meta.get("onnxopt.taken"):
            new.graph.inputs.remove(stand_in)
        new.graph.initializers.add(stand_in)
    _restore(new, old)
    return new


def _restore(new: ir.Model, old: ir.Model) -> None:
    new.ir_version = max(new.ir_version or 0, old.ir_version or 0)
    new.producer_name, new.producer_version = old.producer_name, old.producer_version
    new.domain, new.model_version, new.doc_string = old.domain, old.model_version, old.doc_string
    new.metadata_props.update(old.metadata_props)
    new.meta.update(old.meta)
    new.graph.metadata_props.update(old.graph.metadata_props)
    new.graph.meta.update(old.graph.meta)
    for domain, version in old.opset_imports.items():
        new.opset_imports.setdefault(domain, version)
    nodes = {node.name: node for node in old.graph if node.name}
    for node in new.graph:
        was = nodes.get(node.name or "")
        if was is not None and was.op_type == node.op_type:
            node.metadata_props.update(was.metadata_props)
            node.meta.update(was.meta)
