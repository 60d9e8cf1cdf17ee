"""A model from protobuf to the IR: the model, its graphs and its functions."""

from __future__ import annotations

from collections.abc import Iterable

import onnx
import onnx_ir as ir
from onnx_ir import serde

from onnxopt.errors import ModelError
from onnxopt.io import carry
from onnxopt.io.decode_node import NodeDecoder, Scope
from onnxopt.io.decode_tensor import TensorDecoder, props
from onnxopt.io.text import checked, optional
from onnxopt.io.types import TypeDecoder, encode_type

# The IR version from which functions have value_info.
FUNCTION_INFO_VERSION = 10


def decode_model(proto: onnx.ModelProto, tensors: TensorDecoder) -> ir.Model:
    """Decode a model.

    Args:
        proto: The model or its skeleton; not changed, and not needed afterwards unless ``tensors``
            keeps messages.
        tensors: Decodes its tensors.

    Returns:
        The model, with what the IR cannot express attached (see ``carry``).

    Raises:
        ModelError: If the model is not well-formed.
    """
    return _ModelDecoder(tensors).model(proto)


def type_state(value: ir.Value) -> bytes:
    """Serialise a value's type and shape, to see later whether they changed."""
    proto = onnx.TypeProto()
    encode_type(proto, value.type, value.shape)
    return bytes(proto.SerializeToString(deterministic=True))


class _ModelDecoder:
    def __init__(self, tensors: TensorDecoder) -> None:
        self.where = tensors.where
        self.tensors = tensors
        self.types = TypeDecoder()
        self.nodes = NodeDecoder(tensors, self.types, self.graph)

    def model(self, proto: onnx.ModelProto) -> ir.Model:
        devices = tuple(serde.deserialize_model_configuration(c) for c in proto.configuration)
        self.nodes.configurations = {config.name: config for config in devices}
        graph = self.graph(proto.graph, [])
        graph.opset_imports.update(self._opsets(proto))
        functions: dict[tuple[str, str, str], ir.Function] = {}
        for item in proto.functions:
            function = self._function(item, proto.ir_version)
            if function.identifier() in functions:
                raise ModelError(f"{self.where}: function '{item.name}' is defined twice")
            functions[function.identifier()] = function
        return ir.Model(
            graph,
            ir_version=proto.ir_version,
            producer_name=optional(proto.producer_name),
            producer_version=optional(proto.producer_version),
            domain=optional(proto.domain),
            model_version=proto.model_version or None,
            doc_string=optional(proto.doc_string),
            functions=list(functions.values()),
            metadata_props=props(proto.metadata_props),
            device_configurations=devices,
        )

    def _opsets(self, proto: onnx.ModelProto) -> dict[str, int]:
        opsets = self._imports(proto.opset_import)
        if not opsets and proto.ir_version >= 3:
            raise ModelError(
                f"{self.where}: it imports no operator set; the model is truncated or incomplete"
            )
        # Before IR version 3 the field did not exist, and operators were those of version 1.
        if not opsets:
            opsets = {"": 1}
        if self.nodes.uses_default_domain and "" not in opsets:
            raise ModelError(
                f"{self.where}: it uses ONNX operators but does not import their operator set; "
                "add an opset_import for the default domain"
            )
        return opsets

    def _imports(self, protos: Iterable[onnx.OperatorSetIdProto]) -> dict[str, int]:
        """Decode operator set imports; "ai.onnx" is another spelling of the default domain."""
        opsets: dict[str, int] = {}
        for item in protos:
            domain = "" if item.domain == "ai.onnx" else checked(item.domain)
            if opsets.setdefault(domain, item.version) != item.version:
                raise ModelError(
                    f"{self.where}: it imports operator set '{item.domain}' in versions "
                    f"{opsets[domain]} and {item.version}; remove one"
                )
        return opsets

    def graph(self, proto: onnx.GraphProto, scopes: list[Scope]) -> ir.Graph:
        """Decode a graph inside the given outer scopes."""
        return _GraphDecoder(self, proto, [*scopes, Scope()]).graph()

    def _function(self, proto: onnx.FunctionProto, ir_version: int) -> ir.Function:
        scope = Scope()
        infos = {info.name: info for info in proto.value_info}
        left: dict[str, onnx.ValueInfoProto] = infos
        if ir_version < FUNCTION_INFO_VERSION:
            infos = {}  # not in the standard yet: kept, but not relied on
        inputs = [self.value(name, infos.pop(name, None)) for name in proto.input]
        scope.ready.update((value.name or "", value) for value in inputs)
        nodes = self.nodes.decode_all(
            list(proto.node), [scope], lambda name: self.value(name, infos.pop(name, None))
        )
        missing = [name for name in proto.output if name not in scope.ready]
        if missing:
            raise ModelError(
                f"{self.where}: function '{proto.name}' returns '{missing[0]}', which nothing defines"
            )
        graph = ir.Graph(
            inputs,
            [scope.ready[name] for name in proto.output],
            nodes=nodes,
            doc_string=optional(proto.doc_string),
            opset_imports=self._imports(proto.opset_import),
            name=checked(proto.name),
            metadata_props=props(proto.metadata_props),
        )
        kept = [carry.Info(_copy(info), b"") for info in left.values()]
        carry.attach_graph(graph, carry.GraphCarry(value_info=kept))
        attributes = [self.nodes.attribute(item, []) for item in proto.attribute_proto]
        attributes += [ir.Attr(n, ir.AttributeType.UNDEFINED, None) for n in proto.attribute]
        return ir.Function(
            checked(proto.domain),
            checked(proto.name),
            checked(proto.overload),
            graph=graph,
            attributes=attributes,
        )

    def value(self, name: str, info: onnx.ValueInfoProto | None) -> ir.Value:
        """Make a value, with what the file says about it."""
        if info is None:
            return ir.Value(name=name)
        type_, shape = self.types.decode(info.type)
        return ir.Value(
            name=name,
            type=type_,
            shape=shape,
            doc_string=optional(info.doc_string),
            metadata_props=props(info.metadata_props),
        )


def _copy(info: onnx.ValueInfoProto) -> onnx.ValueInfoProto:
    """Copy an entry out of the message it is in, so that the message can be freed."""
    copy = onnx.ValueInfoProto()
    copy.CopyFrom(info)
    return copy


class _GraphDecoder:
    """Decodes one graph."""

    def __init__(self, model: _ModelDecoder, proto: onnx.GraphProto, scopes: list[Scope]) -> None:
        self.where = model.where
        self.model = model
        self.proto = proto
        self.scopes = scopes
        self.ready = scopes[-1].ready
        self.infos = {info.name: info for info in proto.value_info}
        self.output_names = {info.name for info in proto.output}
        self.annotations: dict[str, onnx.TensorAnnotation] = {}
        self.carry = carry.GraphCarry()

    def graph(self) -> ir.Graph:
        proto = self.proto
        for annotation in proto.quantization_annotation:
            if annotation.tensor_name in self.annotations:
                raise ModelError(
                    f"{self.where}: tensor '{annotation.tensor_name}' has two quantisation annotations"
                )
            self.annotations[annotation.tensor_name] = annotation
        inputs = [self._input(info) for info in proto.input]
        initializers = [self._initializer(tensor) for tensor in proto.initializer]
        initializers += [self._sparse(tensor) for tensor in proto.sparse_initializer]
        nodes = self.model.nodes.decode_all(list(proto.node), self.scopes, self._value)
        outputs = [self._output(i, info) for i, info in enumerate(proto.output)]
        graph = ir.Graph(
            inputs,
            outputs,
            nodes=nodes,
            initializers=initializers,
            doc_string=optional(proto.doc_string),
            name=optional(proto.name),
            metadata_props=props(proto.metadata_props),
        )
        self._keep_leftover_infos()
        for annotation in self.annotations.values():
            kept = onnx.TensorAnnotation()
            kept.CopyFrom(annotation)
            self.carry.quantization.append(kept)
        carry.attach_graph(graph, self.carry)
        return graph

    def _define(self, value: ir.Value, what: str) -> ir.Value:
        name = value.name or ""
        checked(name)
        if not name or name in self.ready:
            cause = f"is named '{name}' like another value" if name else "has no name"
            raise ModelError(f"{self.where}: {what} {cause}; the model is damaged")
        self.ready[name] = value
        if self.annotations:
            self._annotate(value)
        return value

    def _annotate(self, value: ir.Value) -> None:
        found = self.annotations.get(value.name or "")
        if found is not None and found.quant_parameter_tensor_names:
            carry.annotate(value, props(found.quant_parameter_tensor_names) or {})
            del self.annotations[found.tensor_name]

    def _value(self, name: str) -> ir.Value:
        """Make the value of a node output; what is said of a graph output comes from its own entry."""
        info = None if name in self.output_names else self.infos.pop(name, None)
        value = self.model.value(name, info)
        if self.annotations:
            self._annotate(value)
        return value

    def _input(self, info: onnx.ValueInfoProto) -> ir.Value:
        return self._define(self.model.value(info.name, info), "a graph input")

    def _initializer(self, proto: onnx.TensorProto) -> ir.Value:
        tensor = self.model.tensors.decode(proto)
        existing = self.ready.get(proto.name)
        if existing is not None:
            # A default for an input; or a second definition, of which runtimes take the last.
            existing.const_value = tensor
            return existing
        value = ir.Value(
            name=checked(proto.name),
            type=ir.TensorType(tensor.dtype),
            shape=ir.Shape(proto.dims, frozen=True),
            const_value=tensor,
        )
        self._add_info(value)
        return self._define(value, "an initializer")

    def _sparse(self, proto: onnx.SparseTensorProto) -> ir.Value:
        """Decode a sparse initializer: an initializer whose elements passes cannot see."""
        tensor = self.model.nodes.sparse(proto)
        name = proto.values.name
        value = self.ready.get(name)
        if value is not None and value.const_value is not None:
            raise ModelError(f"{self.where}: initializer '{name}' is both dense and sparse")
        if value is None:
            type_ = ir.TensorType(tensor.values.dtype)
            value = ir.Value(name=name, type=type_, shape=ir.Shape(tensor.dims, frozen=True))
            self._add_info(value)
            self._define(value, "a sparse initializer")
        carry.attach_sparse(value, tensor)
        self.carry.sparse[name] = tensor
        return value

    def _add_info(self, value: ir.Value) -> None:
        """Keep the entry of an initializer beside it: its tensor knows type and dims better."""
        info = self.infos.pop(value.name or "", None)
        if info is not None:
            carry.attach_info(value, self._info(info, value))

    def _output(self, index: int, info: onnx.ValueInfoProto) -> ir.Value:
        name = info.name
        value = self.ready.get(name)
        if value is None:
            outer = any(name in scope.ready for scope in self.scopes[:-1])
            cause = (
                "comes from an outer graph; put an Identity between" if outer else "nothing defines"
            )
            raise ModelError(f"{self.where}: graph output '{name}' {cause}")
        inner = self.infos.get(name)
        if value.type is None and not (value.is_initializer() or inner is not None):
            value.type, value.shape = self.model.types.decode(info.type)
            value.doc_string = optional(info.doc_string)
            if info.metadata_props:
                value.metadata_props.update(props(info.metadata_props) or {})
            return value
        if value.type is None:
            # Passes see the fuller of the two entries; both are written back.
            value.type, value.shape = self.model.types.decode(info.type)
            if value.shape is None and inner is not None:
                value.type, value.shape = self.model.types.decode(inner.type)
        self.carry.outputs[index] = self._info(info, value)
        return value

    def _info(self, info: onnx.ValueInfoProto, value: ir.Value | None) -> carry.Info:
        return carry.Info(_copy(info), type_state(value) if value is not None else b"")

    def _keep_leftover_infos(self) -> None:
        """Carry the entries of ``value_info`` that the values do not repeat."""
        for name, info in self.infos.items():
            self.carry.value_info.append(self._info(info, self.ready.get(name)))
