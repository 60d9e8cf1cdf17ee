"""A hashable key for an attribute, equal for equal attributes only."""

from __future__ import annotations

import struct
from collections.abc import Hashable

import onnx_ir as ir

from onnxopt.rewrite.schema import attribute_default

from ._identity import content_key, kind_key


def attribute_key(attr: ir.Attr) -> Hashable:
    """Returns the key; floats count by their bits and tensors by their bytes."""
    if attr.is_ref():
        return ("ref", attr.ref_attr_name)
    if attr.type == ir.AttributeType.TENSOR:
        return tensor_key(attr.as_tensor())
    if attr.type == ir.AttributeType.TENSORS:
        return tuple(tensor_key(tensor) for tensor in attr.as_tensors())
    if attr.type == ir.AttributeType.FLOAT:
        return struct.pack("<d", attr.as_float())
    if attr.type == ir.AttributeType.FLOATS:
        return tuple(struct.pack("<d", number) for number in attr.as_floats())
    if attr.type in (ir.AttributeType.TYPE_PROTO, ir.AttributeType.TYPE_PROTOS):
        return (attr.type, repr(attr.value))
    if isinstance(attr.value, (list, tuple)):
        return (attr.type, tuple(attr.value))
    return (attr.type, attr.value)


def tensor_key(tensor: ir.TensorProtocol) -> Hashable:
    """Returns a key that is equal for tensors of equal type, dims and bytes only."""
    return (kind_key(tensor), content_key(tensor))


def is_default(node: ir.Node, attr: ir.Attr, version: int | None) -> bool:
    """Tells whether an attribute says no more than its absence would, at an opset version."""
    if attr.is_ref() or attr.type in (ir.AttributeType.TENSOR, ir.AttributeType.TENSORS):
        return False
    default = attribute_default(node, attr.name, version)
    # By their text, so that -0.0 is not 0.0.
    return default is not None and repr(attr.value) == repr(default)
