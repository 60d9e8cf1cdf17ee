"""Tensors from protobuf: each checked against its dims and turned into bytes or a file region."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx
import onnx_ir as ir

from onnxopt.errors import ModelError
from onnxopt.io.order import describe
from onnxopt.io.paths import DataFile, DataFolder
from onnxopt.io.skeleton import INLINE_BYTES, SELF
from onnxopt.io.stored import BytesTensor, MappedTensor, ProtoTensor, byte_count
from onnxopt.io.text import checked, optional
from onnxopt.io.types import DATA_TYPES

# Which data types each typed field may hold; int32_data holds all the types not named here.
# Source: comments of TensorProto in onnx.proto.
_TYPED_FIELDS = {
    "float_data": {ir.DataType.FLOAT, ir.DataType.COMPLEX64},
    "double_data": {ir.DataType.DOUBLE, ir.DataType.COMPLEX128},
    "int64_data": {ir.DataType.INT64},
    "uint64_data": {ir.DataType.UINT32, ir.DataType.UINT64},
}


def props(entries: Sequence[onnx.StringStringEntryProto]) -> dict[str, str] | None:
    """Decode key-value entries; None for none, which saves a dictionary."""
    return {checked(e.key): checked(e.value) for e in entries} if entries else None


class TensorDecoder:
    """Decodes tensors of one model.

    Attributes:
        where: What to call the model in messages.
        node: The node whose attributes are being decoded, for messages.

    Args:
        where: What to call the model in messages.
        own_file: The model file, for tensors that the skeleton refers to.
        folder: The folder of the model, for its external data.
        keep_protos: Whether large tensors stay in the message they are in, as the caller keeps it.
    """

    def __init__(
        self,
        where: str,
        own_file: DataFile | None = None,
        folder: DataFolder | None = None,
        *,
        keep_protos: bool = False,
    ) -> None:
        self.where = where
        self.node: onnx.NodeProto | None = None
        self._own_file = own_file
        self._folder = folder
        self._keep_protos = keep_protos

    def error(self, proto: onnx.TensorProto, cause: str) -> ModelError:
        """Make an error about a tensor."""
        return ModelError(self._what(proto) + cause)

    def _what(self, proto: onnx.TensorProto) -> str:
        place = f"{describe(self.node)}, " if self.node is not None else ""
        return f"{self.where}: {place}tensor '{proto.name}': "

    def decode(self, proto: onnx.TensorProto) -> ir.TensorProtocol:
        """Decode a tensor.

        Args:
            proto: The tensor; it is not kept unless ``keep_protos`` is set and it is large.

        Raises:
            ModelError: If data and dims disagree, or external data is unsafe or missing.
        """
        dims = tuple(proto.dims)
        dtype = DATA_TYPES.get(proto.data_type)
        if dtype is None:
            raise self.error(proto, f"data type {proto.data_type} is not one of ONNX's")
        if dims and min(dims) < 0:
            raise self.error(proto, f"its dims {list(dims)} are negative; the model is damaged")
        common: dict[str, Any] = {
            "name": optional(proto.name),
            "doc_string": optional(proto.doc_string),
            "metadata_props": props(proto.metadata_props),
        }
        if proto.data_location == onnx.TensorProto.EXTERNAL:
            return self._external(proto, dtype, dims, common)
        if dtype == ir.DataType.UNDEFINED or proto.HasField("segment"):
            return ProtoTensor(proto)
        if dtype == ir.DataType.STRING:
            return self._strings(proto, dims, common)
        data = proto.raw_data if proto.HasField("raw_data") else self._typed(proto, dtype)
        self._check_length(proto, len(data), dtype, dims)
        if self._keep_protos and len(data) > INLINE_BYTES:
            return ProtoTensor(proto)
        return BytesTensor(data, dtype, dims, **common)

    def _check_length(
        self, proto: onnx.TensorProto, found: int, dtype: ir.DataType, dims: tuple[int, ...]
    ) -> None:
        expected = byte_count(dtype, dims)
        if found != expected:
            raise self.error(
                proto,
                f"{dtype.name}{list(dims)} takes {expected} bytes but has {found}; "
                "the model is damaged, or its weights were stripped",
            )

    def _typed(self, proto: onnx.TensorProto, dtype: ir.DataType) -> bytes:
        for field, types in _TYPED_FIELDS.items():
            if len(getattr(proto, field)) and dtype not in types:
                raise self.error(proto, f"{dtype.name} data cannot be in its field {field}")
        if proto.int32_data and any(dtype in types for types in _TYPED_FIELDS.values()):
            raise self.error(proto, f"{dtype.name} data cannot be in its field int32_data")
        return ProtoTensor(proto).tobytes()

    def _strings(
        self, proto: onnx.TensorProto, dims: tuple[int, ...], common: dict[str, Any]
    ) -> ir.StringTensor:
        items = list(proto.string_data)
        expected = 1
        for dim in dims:
            expected *= dim
        if len(items) != expected or proto.HasField("raw_data"):
            raise self.error(
                proto, f"STRING{list(dims)} takes {expected} strings but has {len(items)}"
            )
        return ir.StringTensor(items, shape=ir.Shape(dims), **common)

    def _external(
        self,
        proto: onnx.TensorProto,
        dtype: ir.DataType,
        dims: tuple[int, ...],
        common: dict[str, Any],
    ) -> ir.TensorProtocol:
        entries = {entry.key: entry.value for entry in proto.external_data}
        if dtype in (ir.DataType.STRING, ir.DataType.UNDEFINED):
            raise self.error(proto, f"{dtype.name} data cannot be external")
        expected = byte_count(dtype, dims)
        offset = self._number(proto, entries.get("offset"), 0)
        length = self._number(proto, entries.get("length"), expected)
        self._check_length(proto, length, dtype, dims)
        file = self._file(proto, entries.get("location", ""))
        if offset + length > file.size:
            raise self.error(
                proto,
                f"bytes {offset} to {offset + length} are needed of '{file.shown}', which has "
                f"{file.size}; the file is incomplete",
            )
        mapped = MappedTensor(file, offset, length, dtype, dims, **common)
        if length <= INLINE_BYTES:
            return BytesTensor(mapped.tobytes(), dtype, dims, **common)
        return mapped

    def _number(self, proto: onnx.TensorProto, text: str | None, default: int) -> int:
        if text is None:
            return default
        # int() would also take signs, blanks and underscores; 20 digits hold any 64-bit number.
        if not (text.isascii() and text.isdigit() and len(text) <= 20):
            raise self.error(proto, f"its external data has the offset or length '{text[:40]}'")
        return int(text)

    def _file(self, proto: onnx.TensorProto, location: str) -> DataFile:
        if location == SELF and self._own_file is not None:
            return self._own_file
        if self._folder is None:
            raise self.error(
                proto,
                f"its data is in '{location}', but the model's folder is unknown; give base_dir",
            )
        return self._folder.file(location, self._what(proto))
