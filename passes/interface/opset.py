"""Convert the model to another opset version, through onnx's own version converter.

The converter sees the graph with its weights taken out, so that the size of the model does not
matter; ``Constant`` nodes become initializers for that. It knows nothing of functions, which are inlined before,
nor of metadata, which is put back by node name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import onnx
import onnx_ir as ir
from onnx import inliner, version_converter

from onnxopt.errors import UsageError
from onnxopt.io import from_proto, to_proto
from onnxopt.pipeline.base import Context, Pass
from onnxopt.rewrite.scopes import Scopes

from ..clean.lift_constants import LiftConstants

_SMALL = 1024
_GROUP_NORM_BY_CHANNEL = 21


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
        newest = onnx.defs.onnx_opset_version()
        if not 7 <= self.version <= newest:
            raise UsageError(
                f"cannot convert to opset {self.version}; choose one from 7 to {newest}"
            )
        if context.model.opset_imports.get("") == self.version:
            return 0
        _convert(context, self.version)
        return 1


@dataclass(frozen=True)
class RaiseOpset(Pass):
    """Raises the model's opset to a version whose operators the target has, where that is possible.

    Attributes:
        version: The version of the default domain.
        needs: Standard operators that the target must have for it to pay, separated by blanks.
    """

    name: ClassVar[str] = "raise-opset"
    summary: ClassVar[str] = "Raise the opset to one whose operators the target has, if possible."
    exact: ClassVar[bool] = False
    version: int = 0
    needs: str = ""

    def run(self, context: Context) -> int:
        """Converts; leaves alone a model that is newer, or that onnx cannot convert, and says so."""
        current = context.model.opset_imports.get("")
        if current is None or current >= self.version:
            return 0
        if not all(("", op_type) in context.target.kernels for op_type in self.needs.split()):
            return 0
        if not context.gate.admits(self.name, "model"):
            return 0
        try:
            _convert(context, self.version)
        except UsageError as error:
            context.stats.note(f"the opset stays {current}: {error}")
            return 0
        context.gate.record(self.name, "model")
        context.stats.fired[self.name] += 1
        return 1


def _convert(context: Context, version: int) -> None:
    """Converts the model, or leaves it as it was.

    Raises:
        UsageError: onnx cannot convert it.
    """
    model = context.model
    _require_convertible(model, version)
    LiftConstants().run(context)
    weights = _take_out(model)
    try:
        converted = _converted(to_proto(model), version)
    except UsageError:
        _put_in_place(model, weights)
        raise
    if model.functions:
        context.stats.note("functions were inlined, because onnx cannot convert them")
    context.adopt(_put_back(converted, model, weights))


def _require_convertible(model: ir.Model, version: int) -> None:
    """Refuses what onnx would convert wrongly, or not at all.

    Raises:
        UsageError: The model has sparse initializers, or normalises groups on both sides of opset 21, where scale
            and bias went from one number a group to one a channel.
    """
    if any(v.const_value is None for v in model.graph.initializers.values()):
        raise UsageError("onnx cannot convert a model that has sparse initializers")
    before = model.opset_imports.get("", version)
    if (before < _GROUP_NORM_BY_CHANNEL) == (version < _GROUP_NORM_BY_CHANNEL):
        return
    for graph in Scopes(model).graphs():
        if any(node.op_type == "GroupNormalization" and node.domain == "" for node in graph):
            raise UsageError(
                f"cannot convert to opset {version}: GroupNormalization is another operator from opset 21 on"
            )


def _converted(proto: onnx.ModelProto, version: int) -> onnx.ModelProto:
    """Inlines functions and converts.

    Raises:
        UsageError: onnx cannot do it.
    """
    try:
        if proto.functions:
            proto = inliner.inline_local_functions(proto, convert_version=True)
        return version_converter.convert_version(proto, version)
    except Exception as error:
        reason = str(error).strip().splitlines()[-1].rpartition("failed: ")[2]
        unknown = _unknown(proto)
        if "no registered schema" in reason and unknown:
            reason = f"{unknown} is no operator of ONNX any more, and what it meant cannot be carried over"
        raise UsageError(f"cannot convert to opset {version}: {reason}") from error


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


def _put_in_place(model: ir.Model, weights: dict[str, ir.Value]) -> None:
    """Takes back what `_take_out` did."""
    for value in weights.values():
        if value.meta.pop("onnxopt.taken", False):
            model.graph.inputs.remove(value)
        model.graph.initializers.add(value)


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


def _unknown(proto: onnx.ModelProto) -> str:
    """An operator of the default domain that ONNX does not define (any more), or ''."""
    names = {node.op_type for node in proto.graph.node if node.domain in ("", "ai.onnx")}
    return next((name for name in sorted(names) if not onnx.defs.has(name)), "")
