"""Nodes and attributes from protobuf, with every name resolved to the value it means.

onnx-ir's own decoder takes about 60 µs a node, invents values for names that nothing defines, and refuses
sparse attributes, map types and strings that are not UTF-8; this one does none of these.
"""

from __future__ import annotations

import dataclasses
from collections import ChainMap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import onnx
import onnx_ir as ir
from onnx_ir import serde

from onnxopt.errors import ModelError
from onnxopt.io.carry import SparseTensor
from onnxopt.io.decode_tensor import TensorDecoder, props
from onnxopt.io.order import cycle_message, describe, sort_nodes
from onnxopt.io.text import checked, optional
from onnxopt.io.types import TypeDecoder

if TYPE_CHECKING:
    GraphDecoder = Callable[[onnx.GraphProto, "list[Scope]"], ir.Graph]
    ValueMaker = Callable[[str], ir.Value]

_Type = ir.AttributeType
_Proto = onnx.AttributeProto
_ATTRIBUTE_TYPES = {int(member): member for member in _Type}

# Fields by which a file of IR version 1, which has no attribute types, tells the type.
_FIELD_TYPES = {
    "f": _Type.FLOAT,
    "i": _Type.INT,
    "s": _Type.STRING,
    "t": _Type.TENSOR,
    "g": _Type.GRAPH,
    "floats": _Type.FLOATS,
    "ints": _Type.INTS,
    "strings": _Type.STRINGS,
    "tensors": _Type.TENSORS,
    "graphs": _Type.GRAPHS,
}


class Scope:
    """The values that nodes of one graph can name.

    Attributes:
        ready: Values defined by what came before: inputs, initializers, outputs of earlier nodes.
        pending: Outputs of the nodes still to come.
        unsorted: Whether some node read a pending value.
    """

    __slots__ = ("pending", "ready", "unsorted")

    def __init__(self) -> None:
        self.ready: dict[str, ir.Value] = {}
        self.pending: dict[str, ir.Value] = {}
        self.unsorted = False

    def find(self, name: str) -> ir.Value | None:
        """Look a name up; reading a value before it is defined marks the graph as unsorted."""
        value = self.ready.get(name)
        if value is None:
            value = self.pending.get(name)
            self.unsorted |= value is not None
        return value


def text_or_bytes(data: bytes) -> str | bytes:
    """Decode UTF-8; custom operators may store other bytes, which stay as they are."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data


class NodeDecoder:
    """Decodes the nodes of one model.

    Args:
        tensors: Decodes tensors.
        types: Decodes types.
        graph: Decodes a subgraph within the given scopes.
    """

    def __init__(self, tensors: TensorDecoder, types: TypeDecoder, graph: GraphDecoder) -> None:
        self.where = tensors.where
        self.uses_default_domain = False
        self.configurations: dict[str, ir.ModelConfiguration] = {}
        self._tensors = tensors
        self._types = types
        self._graph = graph
        self._readers: dict[int, Callable[[_Proto, list[Scope]], Any]] = {
            _Type.INT: lambda a, _: a.i,
            _Type.FLOAT: lambda a, _: a.f,
            _Type.STRING: lambda a, _: text_or_bytes(a.s),
            _Type.INTS: lambda a, _: a.ints,
            _Type.FLOATS: lambda a, _: a.floats,
            _Type.STRINGS: lambda a, _: [text_or_bytes(s) for s in a.strings],
            _Type.TENSOR: lambda a, _: tensors.decode(a.t),
            _Type.TENSORS: lambda a, _: [tensors.decode(t) for t in a.tensors],
            _Type.GRAPH: lambda a, scopes: graph(a.g, scopes),
            _Type.GRAPHS: lambda a, scopes: [graph(g, scopes) for g in a.graphs],
            _Type.SPARSE_TENSOR: lambda a, _: self.sparse(a.sparse_tensor),
            _Type.SPARSE_TENSORS: lambda a, _: tuple(self.sparse(s) for s in a.sparse_tensors),
            _Type.TYPE_PROTO: lambda a, _: ir.TypeAndShape(*types.decode(a.tp)),
            _Type.TYPE_PROTOS: lambda a, _: [
                ir.TypeAndShape(*types.decode(t)) for t in a.type_protos
            ],
            _Type.UNDEFINED: lambda *_: None,
        }

    def decode_all(
        self, protos: Sequence[onnx.NodeProto], scopes: list[Scope], values: ValueMaker
    ) -> list[ir.Node]:
        """Decode the nodes of one graph, sorted if they are not.

        Args:
            protos: The nodes.
            scopes: Scopes from the outermost to this graph's own, which holds inputs and initializers.
            values: Makes the value for an output name.

        Raises:
            ModelError: If a name is undefined or defined twice, or the nodes form a cycle.
        """
        scope = scopes[-1]
        ready, pending = scope.ready, scope.pending
        for proto in protos:
            for name in proto.output:
                if name in pending or name in ready:
                    raise ModelError(self._twice(proto, name))
                if name:
                    pending[checked(name)] = values(name)
        nodes = []
        for proto in protos:
            nodes.append(self._node(proto, scopes))
            for name in proto.output:
                if name:
                    ready[name] = pending.pop(name)
        if scope.unsorted:
            nodes, cycle = sort_nodes(nodes)
            if cycle:
                raise ModelError(f"{self.where}: {cycle_message(cycle)}")
        return nodes

    def _twice(self, proto: onnx.NodeProto, name: str) -> str:
        return (
            f"{self.where}: {describe(proto)} defines '{name}', which is already defined in the same "
            "graph; names must be unique, export the model again"
        )

    def _node(self, proto: onnx.NodeProto, scopes: list[Scope]) -> ir.Node:
        scope = scopes[-1]
        inputs: list[ir.Value | None] = []
        for name in proto.input:
            value = scope.ready.get(name)
            if value is None and name:
                value = self._lookup(name, proto, scopes)
            inputs.append(value)
        pending = scope.pending
        outputs = [pending[name] if name else ir.Value(name="") for name in proto.output]
        op_type, domain = checked(proto.op_type), checked(proto.domain)
        if not op_type:
            raise ModelError(
                f"{self.where}: {describe(proto)} has no op_type; the model is damaged"
            )
        if not domain or domain == "ai.onnx":
            self.uses_default_domain = True
        return ir.Node(
            domain,
            op_type,
            inputs,
            self._attributes(proto, scopes) if proto.attribute else (),
            overload=checked(proto.overload),
            outputs=outputs,
            name=checked(proto.name),
            doc_string=optional(proto.doc_string),
            metadata_props=props(proto.metadata_props),
            device_configurations=self._devices(proto, scopes)
            if proto.device_configurations
            else (),
        )

    def _lookup(self, name: str, proto: onnx.NodeProto, scopes: list[Scope]) -> ir.Value:
        for scope in reversed(scopes):
            value = scope.find(name)
            if value is not None:
                return value
        raise ModelError(
            f"{self.where}: {describe(proto)} reads '{name}', which nothing defines; the model is "
            "incomplete, export it again"
        )

    def _attributes(self, proto: onnx.NodeProto, scopes: list[Scope]) -> list[ir.Attr]:
        outer, self._tensors.node = self._tensors.node, proto
        attributes = [self.attribute(attribute, scopes) for attribute in proto.attribute]
        self._tensors.node = outer
        if len(attributes) > 1 and len({a.name for a in attributes}) < len(attributes):
            raise ModelError(
                f"{self.where}: {describe(proto)} has two attributes of one name; the model is damaged"
            )
        return attributes

    def attribute(self, proto: onnx.AttributeProto, scopes: list[Scope]) -> ir.Attr:
        """Decode an attribute or a reference to a function's attribute."""
        number, name, doc = int(proto.type), checked(proto.name), optional(proto.doc_string)
        if proto.ref_attr_name:
            return ir.RefAttr(name, checked(proto.ref_attr_name), _Type(number), doc_string=doc)
        if number == _Proto.UNDEFINED:
            number = self._type_by_field(proto)
        read = self._readers.get(number)
        if read is None:
            raise ModelError(
                f"{self.where}: attribute '{proto.name}' has type {number}, which is not one of ONNX's"
            )
        return ir.Attr(name, _ATTRIBUTE_TYPES[number], read(proto, scopes), doc_string=doc)

    def _type_by_field(self, proto: onnx.AttributeProto) -> _Type:
        present = {field.name for field, _ in proto.ListFields()}
        types = [type_ for field, type_ in _FIELD_TYPES.items() if field in present]
        return types[0] if len(types) == 1 else _Type.UNDEFINED

    def sparse(self, proto: onnx.SparseTensorProto) -> SparseTensor:
        """Decode a sparse tensor."""
        values, indices = (self._tensors.decode(t) for t in (proto.values, proto.indices))
        return SparseTensor(values, indices, proto.dims)

    def _devices(
        self, proto: onnx.NodeProto, scopes: list[Scope]
    ) -> tuple[ir.NodeDeviceConfiguration, ...]:
        """Decode device configurations; they refer to the model's by name and to values by name."""
        maps = [part for scope in reversed(scopes) for part in (scope.ready, scope.pending)]
        values = ChainMap(*maps)
        decoded = []
        for item in proto.device_configurations:
            config = serde.deserialize_node_device_configuration(item, values=values)
            known = self.configurations.get(item.configuration_id)
            decoded.append(dataclasses.replace(config, configuration=known or config.configuration))
        return tuple(decoded)
