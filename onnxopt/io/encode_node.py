"""Nodes and attributes to protobuf: small ones as messages, ones with large tensors as ropes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
import onnx_ir as ir
from onnx_ir import serde

from onnxopt.io.encode_tensor import TensorEncoder
from onnxopt.io.rope import Rope
from onnxopt.io.skeleton import INLINE_BYTES
from onnxopt.io.types import encode_type

_Type = ir.AttributeType

# Field numbers of NodeProto and AttributeProto in onnx.proto.
_ATTRIBUTE = 5
_TENSOR, _GRAPH, _TENSORS, _GRAPHS, _SPARSE, _SPARSES = 5, 6, 10, 11, 22, 23

# Attribute types that may hold large tensors somewhere inside.
_NESTED = frozenset(
    {_Type.GRAPH, _Type.GRAPHS, _Type.TENSORS, _Type.SPARSE_TENSOR, _Type.SPARSE_TENSORS}
)


def add_props(entries: Any, props: dict[str, str]) -> None:
    """Fill in key-value entries."""
    for name, value in props.items():
        entry = entries.add()
        entry.key, entry.value = name, value


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8")


def _set_types(proto: onnx.AttributeProto, value: Any) -> None:
    for item in value:
        encode_type(proto.type_protos.add(), item.type, item.shape)


def _set(field: str) -> Callable[[onnx.AttributeProto, Any], None]:
    return lambda proto, value: setattr(proto, field, value)


_SETTERS: dict[_Type, Callable[[onnx.AttributeProto, Any], None]] = {
    _Type.INT: _set("i"),
    _Type.FLOAT: _set("f"),
    _Type.STRING: lambda proto, value: setattr(proto, "s", _bytes(value)),
    _Type.INTS: lambda proto, value: proto.ints.extend(value),
    _Type.FLOATS: lambda proto, value: proto.floats.extend(value),
    _Type.STRINGS: lambda proto, value: proto.strings.extend(map(_bytes, value)),
    _Type.TYPE_PROTO: lambda proto, value: encode_type(proto.tp, value.type, value.shape),
    _Type.TYPE_PROTOS: _set_types,
    _Type.UNDEFINED: lambda *_: None,
}


class NodeEncoder:
    """Encodes the nodes of one model.

    Args:
        tensors: Encodes tensors.
        graph: Encodes a subgraph.
    """

    def __init__(self, tensors: TensorEncoder, graph: Callable[[ir.Graph], Rope]) -> None:
        self._tensors = tensors
        self._graph = graph

    def encode_into(self, rope: Rope, number: int, run: Any, node: ir.Node) -> Any:
        """Encode one node of a graph or function.

        Small nodes collect in ``run``, an otherwise empty message, because protobuf serialises many
        nodes at once much faster than one by one. A node with large tensors flushes the run, so
        that nodes stay in order, and goes to the rope.

        Args:
            rope: The graph or function under construction.
            number: The field number of its nodes.
            run: A ``GraphProto`` or ``FunctionProto`` with the small nodes since the last flush.
            node: The node.

        Returns:
            The run to go on with.
        """
        if not any(map(self._is_large, node.attributes.values())):
            proto = run.node.add()
            self._fill(proto, node)
            for attribute in node.attributes.values():
                self._fill_attribute(proto.attribute.add(), attribute)
            return run
        rope.add(run.SerializeToString())
        large = Rope()
        proto = onnx.NodeProto()
        self._fill(proto, node)
        large.add(proto.SerializeToString())
        for attribute in node.attributes.values():
            large.message(_ATTRIBUTE, self.attribute(attribute))
        rope.message(number, large)
        return type(run)()

    def _is_large(self, attribute: ir.Attr) -> bool:
        if attribute.is_ref():
            return False
        if attribute.type == _Type.TENSOR:
            tensor = attribute.value
            return bool(tensor.dtype.value > 0 and tensor.nbytes > INLINE_BYTES)
        return attribute.type in _NESTED

    def _fill(self, proto: onnx.NodeProto, node: ir.Node) -> None:
        proto.op_type = node.op_type
        for field in ("domain", "name", "overload", "doc_string"):
            text = getattr(node, field)
            if text:
                setattr(proto, field, text)
        proto.input.extend(["" if value is None else value.name for value in node.inputs])
        proto.output.extend([value.name for value in node.outputs])
        if node.metadata_props:
            add_props(proto.metadata_props, node.metadata_props)
        for configuration in node.device_configurations:
            encoded = serde.serialize_node_device_configuration(configuration)
            proto.device_configurations.add().CopyFrom(encoded)

    def _fill_attribute(self, proto: onnx.AttributeProto, attribute: ir.Attr) -> None:
        """Fill in an attribute without large tensors."""
        proto.name = attribute.name
        proto.type = attribute.type.value  # type: ignore[assignment]
        if attribute.doc_string:
            proto.doc_string = attribute.doc_string
        if attribute.is_ref():
            proto.ref_attr_name = attribute.ref_attr_name or ""
        elif attribute.type == _Type.TENSOR:
            self._tensors.fill(proto.t, attribute.value, attribute.value.name)
        else:
            _SETTERS[attribute.type](proto, attribute.value)

    def attribute(self, attribute: ir.Attr) -> Rope:
        """Encode any attribute as a rope."""
        rope = Rope()
        proto = onnx.AttributeProto()
        if not self._is_large(attribute):
            self._fill_attribute(proto, attribute)
            rope.add(proto.SerializeToString())
            return rope
        proto.name = attribute.name
        proto.type = attribute.type.value  # type: ignore[assignment]
        if attribute.doc_string:
            proto.doc_string = attribute.doc_string
        rope.add(proto.SerializeToString())
        value, encode = attribute.value, self._tensors
        match attribute.type:
            case _Type.TENSOR:
                rope.message(_TENSOR, encode.inline(value, value.name))
            case _Type.TENSORS:
                for tensor in value:
                    rope.message(_TENSORS, encode.inline(tensor, tensor.name))
            case _Type.GRAPH:
                rope.message(_GRAPH, self._graph(value))
            case _Type.GRAPHS:
                for graph in value:
                    rope.message(_GRAPHS, self._graph(graph))
            case _Type.SPARSE_TENSOR:
                rope.message(_SPARSE, encode.sparse(value))
            case _Type.SPARSE_TENSORS:
                for tensor in value:
                    rope.message(_SPARSES, encode.sparse(tensor))
        return rope
