"""Tensors to protobuf: small ones whole, large ones as a header and a hole, or as external data."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import onnx
import onnx_ir as ir
from onnx_ir import serde

from onnxopt.io import skeleton, wire
from onnxopt.io.carry import SparseTensor
from onnxopt.io.rope import Payload, Rope
from onnxopt.io.skeleton import INLINE_BYTES
from onnxopt.io.stored import RAW_TENSORS, byte_count, static_dims
from onnxopt.io.tensors import evaluated, file_region

# Field numbers of TensorProto and SparseTensorProto in onnx.proto.
_RAW_DATA = 9
_VALUES, _INDICES, _DIMS = 1, 2, 3

# Tensors from this size on start at a page, so that a runtime can map them; others at a cache line.
_PAGE_FROM_BYTES, _PAGE, _LINE = 64 << 10, 4096, 64


@dataclass
class DataLayout:
    """Where each tensor goes in the data file beside the model.

    Attributes:
        location: Name of the data file, relative to the model.
        payloads: Offset and bytes of each tensor, in order of offset.
        size: Size of the data file in bytes.
    """

    location: str
    payloads: list[tuple[int, Payload]] = field(default_factory=list)
    size: int = 0
    _known: dict[object, int] = field(default_factory=dict)

    def place(self, tensor: ir.TensorProtocol, length: int) -> int:
        """Return a tensor's offset; a tensor that several initializers share is stored once."""
        region = file_region(tensor)
        identity: object = region if region is not None else id(tensor)
        known = self._known.get(identity)
        if known is not None:
            return known
        alignment = _PAGE if length >= _PAGE_FROM_BYTES else _LINE
        offset = -(-self.size // alignment) * alignment
        self.payloads.append((offset, Payload(tensor, length)))
        self.size = offset + length
        self._known[identity] = offset
        return offset


class TensorEncoder:
    """Encodes the tensors of one model.

    Args:
        layout: Where initializers go that are stored outside the model; None to keep them inside.
        root: A folder whose files initializers may stay in; the model, which has to be in this
            folder too, then refers to them. None to copy them all.
    """

    def __init__(self, layout: DataLayout | None, root: str | None = None) -> None:
        self._layout = layout
        self._root = root

    def fill(self, proto: onnx.TensorProto, tensor: ir.TensorProtocol, name: str | None) -> None:
        """Fill in a small tensor, or one whose data has no raw form."""
        if tensor.dtype == ir.DataType.STRING:
            self._header(proto, tensor, name)
            proto.string_data.extend(_strings(tensor))
        elif _is_odd(tensor):
            proto.CopyFrom(tensor.raw)
            self._header(proto, tensor, name)
        else:
            self._header(proto, tensor, name)
            proto.raw_data = evaluated(tensor).tobytes()

    def _header(self, proto: onnx.TensorProto, tensor: ir.TensorProtocol, name: str | None) -> None:
        proto.ClearField("dims")
        proto.ClearField("metadata_props")
        if name:
            proto.name = name
        proto.data_type = tensor.dtype.value
        proto.dims.extend(static_dims(tensor))
        if tensor.doc_string:
            proto.doc_string = tensor.doc_string
        for key, value in tensor.metadata_props.items():
            entry = proto.metadata_props.add()
            entry.key, entry.value = key, value

    def inline(self, tensor: ir.TensorProtocol, name: str | None) -> Rope:
        """Encode a tensor that stays in the model file."""
        rope = Rope()
        proto = onnx.TensorProto()
        length = _raw_length(tensor)
        if length <= INLINE_BYTES:
            self.fill(proto, tensor, name)
            rope.add(proto.SerializeToString())
        else:
            self._header(proto, tensor, name)
            rope.add(proto.SerializeToString())
            rope.payload(_RAW_DATA, tensor, length)
        return rope

    def initializer(self, tensor: ir.TensorProtocol, name: str) -> Rope:
        """Encode an initializer, whose data may go to the data file."""
        length = _raw_length(tensor)
        place = self._stays(tensor) if length > INLINE_BYTES else None
        if place is None and (self._layout is None or length <= INLINE_BYTES):
            return self.inline(tensor, name)
        if place is None and self._layout is not None:
            place = self._layout.location, self._layout.place(tensor, length)
        assert place is not None
        rope = Rope()
        proto = onnx.TensorProto()
        self._header(proto, tensor, name)
        rope.add(proto.SerializeToString())
        rope.add(skeleton.reference(*place, length))
        return rope

    def _stays(self, tensor: ir.TensorProtocol) -> tuple[str, int] | None:
        """Say where a tensor lies below the root: location and offset; None when it does not."""
        region = file_region(tensor) if self._root is not None else None
        if region is None or self._root is None:
            return None
        file, offset, _ = region
        location = os.path.relpath(file.path, self._root)
        return None if location.startswith(os.pardir) else (location, offset)

    def sparse(self, tensor: SparseTensor, name: str | None = None) -> Rope:
        """Encode a sparse tensor; the name of a sparse initializer is that of its values."""
        rope = Rope()
        rope.message(_VALUES, self.inline(tensor.values, name or tensor.values.name))
        rope.message(_INDICES, self.inline(tensor.indices, tensor.indices.name))
        for dim in tensor.dims:
            rope.add(wire.key(_DIMS, wire.VARINT) + wire.put_varint(dim & 0xFFFFFFFFFFFFFFFF))
        return rope


def _is_odd(tensor: ir.TensorProtocol) -> bool:
    """Whether a tensor is a message that says more than type, dims and bytes can."""
    if type(tensor) in RAW_TENSORS or not isinstance(tensor, serde.TensorProtoTensor):
        return False
    return tensor.dtype == ir.DataType.UNDEFINED or tensor.raw.HasField("segment")


def _raw_length(tensor: ir.TensorProtocol) -> int:
    """Bytes that a tensor takes as raw data; 0 when it has no raw form."""
    if tensor.dtype in (ir.DataType.STRING, ir.DataType.UNDEFINED):
        return 0
    if _is_odd(tensor):
        return 0
    return byte_count(tensor.dtype, static_dims(tensor))


def _strings(tensor: ir.TensorProtocol) -> list[bytes]:
    result = evaluated(tensor)
    if isinstance(result, ir.StringTensor):
        items = list(result.string_data())
    else:
        items = result.numpy().reshape(-1).tolist()
    return [item.encode() if isinstance(item, str) else bytes(item) for item in items]
