"""A model from the IR to protobuf's wire format, as a rope with holes for the large tensors."""

from __future__ import annotations

from collections.abc import Iterable

import onnx
import onnx_ir as ir
from onnx_ir import serde

from onnxopt.errors import ModelError
from onnxopt.io import carry
from onnxopt.io.decode import FUNCTION_INFO_VERSION, type_state
from onnxopt.io.encode_node import NodeEncoder, add_props
from onnxopt.io.encode_tensor import DataLayout, TensorEncoder
from onnxopt.io.rope import Rope
from onnxopt.io.types import TypeEncoder

# Field numbers in onnx.proto.
_MODEL_GRAPH, _MODEL_FUNCTIONS = 7, 25
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_FUNCTION_NODE, _FUNCTION_ATTRIBUTE = 7, 11


def encode_model(
    model: ir.Model, layout: DataLayout | None = None, root: str | None = None
) -> Rope:
    """Encode a model, with everything that it carries.

    Args:
        model: The model; not changed.
        layout: Where large initializers go; None to keep them in the model.
        root: A folder whose files large initializers may stay in, to be referred to.

    Returns:
        The bytes of a ``ModelProto``, the same for the same model.

    Raises:
        ModelError: If an initializer has no value.
        TypeError: If the IR holds something that ONNX has no form for.
        ValueError: Likewise.
    """
    return _Encoder(TensorEncoder(layout, root)).model(model)


class _Encoder:
    def __init__(self, tensors: TensorEncoder) -> None:
        self.tensors = tensors
        self.nodes = NodeEncoder(tensors, self.graph)
        self.types = TypeEncoder()

    def model(self, model: ir.Model) -> Rope:
        head = onnx.ModelProto()
        head.ir_version = model.ir_version
        for field in ("producer_name", "producer_version", "domain", "model_version", "doc_string"):
            value = getattr(model, field)
            if value:
                setattr(head, field, value)
        _imports(head, model.opset_imports)
        add_props(head.metadata_props, model.metadata_props)
        for config in model.device_configurations:
            head.configuration.add().CopyFrom(serde.serialize_model_configuration(config))
        head.training_info.extend(carry.model_carry(model).training_info)
        rope = Rope()
        rope.add(head.SerializeToString())
        for function in model.functions.values():
            with_info = model.ir_version >= FUNCTION_INFO_VERSION
            rope.message(_MODEL_FUNCTIONS, self.function(function, with_info))
        rope.message(_MODEL_GRAPH, self.graph(model.graph))
        return rope

    def function(self, function: ir.Function, with_info: bool) -> Rope:
        """Encode a function."""
        head = onnx.FunctionProto()
        for field in ("name", "domain", "overload", "doc_string"):
            text = getattr(function, field)
            if text:
                setattr(head, field, text)
        _imports(head, function.opset_imports)
        add_props(head.metadata_props, function.metadata_props)
        head.input.extend([value.name for value in function.inputs])
        head.output.extend([value.name for value in function.outputs])
        if with_info:
            _infos(head, function.inputs, self.types)
            for node in function:
                _infos(head, node.outputs, self.types)
        for info in carry.graph_carry(function.graph).value_info:
            head.value_info.add().CopyFrom(info.proto)
        defaults = [a for a in function.attributes.values() if a.is_ref() or a.value is not None]
        head.attribute.extend([n for n, a in function.attributes.items() if a not in defaults])
        rope = Rope()
        rope.add(head.SerializeToString())
        for attribute in defaults:
            rope.message(_FUNCTION_ATTRIBUTE, self.nodes.attribute(attribute))
        self._nodes(rope, _FUNCTION_NODE, onnx.FunctionProto(), function)
        return rope

    def _nodes(
        self,
        rope: Rope,
        number: int,
        run: onnx.GraphProto | onnx.FunctionProto,
        nodes: Iterable[ir.Node],
    ) -> None:
        for node in nodes:
            run = self.nodes.encode_into(rope, number, run, node)
        rope.add(run.SerializeToString())

    def graph(self, graph: ir.Graph) -> Rope:
        """Encode a graph: what is small first, then the initializers."""
        rope = Rope()
        rope.add(_head(graph, self.types).SerializeToString())
        self._nodes(rope, _GRAPH_NODE, onnx.GraphProto(), graph)
        written = set()
        for value in graph.initializers.values():
            sparse = carry.sparse_tensor(value)
            if value.const_value is not None:
                tensor = self.tensors.initializer(value.const_value, value.name or "")
                rope.message(_GRAPH_INITIALIZER, tensor)
            elif sparse is not None:
                rope.message(_GRAPH_SPARSE, self.tensors.sparse(sparse, value.name))
                written.add(id(sparse))
            else:
                raise ModelError(
                    f"initializer '{value.name}' has no value; set its const_value or remove it"
                )
        for name, sparse in carry.graph_carry(graph).sparse.items():
            if id(sparse) not in written and name not in graph.initializers:
                rope.message(_GRAPH_SPARSE, self.tensors.sparse(sparse, name))
        return rope


def _imports(head: onnx.ModelProto | onnx.FunctionProto, imports: dict[str, int]) -> None:
    for domain, version in imports.items():
        entry = head.opset_import.add()
        entry.version = version
        if domain:  # ONNX's own domain is the default; writing it out would cost two bytes.
            entry.domain = domain


def _head(graph: ir.Graph, types: TypeEncoder) -> onnx.GraphProto:
    """Encode a graph without nodes and initializers."""
    head = onnx.GraphProto()
    if graph.name:
        head.name = graph.name
    if graph.doc_string:
        head.doc_string = graph.doc_string
    add_props(head.metadata_props, graph.metadata_props)
    carried = carry.graph_carry(graph)
    for value in graph.inputs:
        _info(head.input.add(), value, types)
    for index, value in enumerate(graph.outputs):
        kept = carried.outputs.get(index)
        if kept is not None and _still_fits(kept, value):
            head.output.add().CopyFrom(kept.proto)
        else:
            _info(head.output.add(), value, types)
    for node in graph:
        _infos(head, [value for value in node.outputs if not value.is_graph_output()], types)
    _carried_infos(head, graph, carried, types)
    _annotations(head, graph, carried)
    return head


def _still_fits(info: carry.Info, value: ir.Value) -> bool:
    """Whether a value's entry in the file still describes it."""
    return info.proto.name == value.name and info.state == type_state(value)


def _carried_infos(
    head: onnx.GraphProto, graph: ir.Graph, carried: carry.GraphCarry, types: TypeEncoder
) -> None:
    for value in graph.initializers.values():
        own = carry.value_info(value)
        if own is not None and own.state == type_state(value):
            entry = head.value_info.add()
            entry.CopyFrom(own.proto)
            entry.name = value.name
        elif not value.is_graph_input() and (value.doc_string or value.metadata_props):
            _info(head.value_info.add(), value, types)
    if not carried.value_info:
        return
    ends = {value.name: value for value in (*graph.inputs, *graph.outputs)}
    for info in carried.value_info:
        end = ends.get(info.proto.name)
        if not info.state or (end is not None and _still_fits(info, end)):
            head.value_info.add().CopyFrom(info.proto)


def _annotations(head: onnx.GraphProto, graph: ir.Graph, carried: carry.GraphCarry) -> None:
    values: dict[str | None, ir.Value] = {}
    for group in (graph.inputs, graph.initializers.values(), *(n.outputs for n in graph)):
        values.update((v.name, v) for v in group if carry.quantization(v))
    for name, value in values.items():
        annotation = head.quantization_annotation.add()
        annotation.tensor_name = name
        add_props(annotation.quant_parameter_tensor_names, dict(carry.quantization(value)))
    head.quantization_annotation.extend(carried.quantization)


def _infos(
    head: onnx.GraphProto | onnx.FunctionProto, values: Iterable[ir.Value], types: TypeEncoder
) -> None:
    """Encode what is known about values, where anything is."""
    for value in values:
        known = value.type is not None or value.doc_string or value.metadata_props
        if known and value.name:
            _info(head.value_info.add(), value, types)


def _info(proto: onnx.ValueInfoProto, value: ir.Value, types: TypeEncoder) -> None:
    if not value.name:
        raise ModelError("a graph input or output has no name; name it")
    proto.name = value.name
    if value.type is not None:
        types.encode(proto.type, value.type, value.shape)
    if value.doc_string:
        proto.doc_string = value.doc_string
    if value.metadata_props:
        add_props(proto.metadata_props, value.metadata_props)
