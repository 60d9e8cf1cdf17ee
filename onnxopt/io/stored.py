"""Tensors whose bytes stay where they are.

``MappedTensor`` lies in a file, ``BytesTensor`` in memory, ``ProtoTensor`` in the caller's protobuf
message. None caches anything. The bytes are ONNX's: little-endian, row-major, sub-byte types packed
(``TensorProto.raw_data`` in onnx.proto).
"""

from __future__ import annotations

import math
import mmap
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx_ir as ir
from onnx_ir import serde

from onnxopt.errors import ModelError
from onnxopt.io.paths import DataFile

# What ``raw`` returns: something that supports the buffer protocol.
Buffer = bytes | memoryview

# Pieces that large regions are read in.
CHUNK_BYTES = 1 << 20

# Below this size a copy is cheaper than a mapping, of which a process has a limited number.
_MAP_FROM_BYTES = 256 << 10


class RawTensor(ir.TensorProtocol):
    """A tensor over its ONNX bytes; follows ``ir.TensorProtocol``.

    Args:
        dtype: Element type.
        dims: Dimensions, in elements.
        name: Name of the tensor.
        doc_string: Documentation.
        metadata_props: Metadata that is written to the model.
    """

    __slots__ = ("_dims", "_meta", "_metadata_props", "doc_string", "dtype", "name")

    def __init__(
        self,
        dtype: ir.DataType,
        dims: tuple[int, ...],
        *,
        name: str | None = None,
        doc_string: str | None = None,
        metadata_props: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self.dtype = dtype
        self.doc_string = doc_string
        self._dims = dims
        self._metadata_props = metadata_props
        self._meta: dict[str, Any] | None = None

    @property
    def dims(self) -> tuple[int, ...]:
        """Dimensions as plain numbers."""
        return self._dims

    @property
    def shape(self) -> ir.Shape:  # type: ignore[override]
        """Dimensions."""
        return ir.Shape(self._dims, frozen=True)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self._dims)

    @property
    def nbytes(self) -> int:
        """Number of bytes that ONNX stores it in."""
        return byte_count(self.dtype, self._dims)

    @property
    def metadata_props(self) -> dict[str, str]:  # type: ignore[override]
        """Metadata that is written to the model."""
        if self._metadata_props is None:
            self._metadata_props = {}
        return self._metadata_props

    @property
    def meta(self) -> dict[str, Any]:  # type: ignore[override]
        """Notes that are not written."""
        if self._meta is None:
            self._meta = {}
        return self._meta

    @property
    def raw(self) -> object:
        """What is behind the tensor; cheap, reads nothing."""
        raise NotImplementedError

    def buffer(self) -> Buffer:
        """Return the bytes, mapped where they lie in a large file region."""
        raise NotImplementedError

    def numpy(self) -> np.ndarray[Any, Any]:
        """Return the elements as a read-only array; packed types are unpacked to ml_dtypes."""
        return unpack(self.buffer(), self.dtype, self._dims)

    def tobytes(self) -> bytes:
        """Return a copy of the bytes."""
        return bytes(self.buffer())

    def tofile(self, file: Any) -> None:
        """Write the bytes to a binary file."""
        file.write(self.buffer())

    def __array__(self, dtype: Any = None) -> np.ndarray[Any, Any]:
        array = self.numpy()
        return array if dtype is None else array.astype(dtype)

    def __dlpack__(self, *, stream: Any = None) -> Any:
        # DLPack cannot express read-only memory, so it gets a copy.
        return self.numpy().copy().__dlpack__(stream=stream)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __repr__(self) -> str:
        kind = type(self).__name__
        return f"{kind}<{self.dtype},{list(self._dims)}>(name={self.name!r})"


class BytesTensor(RawTensor):
    """A small tensor held as bytes.

    Args:
        data: The ONNX bytes; their number must fit ``dtype`` and ``dims``.
        dtype: Element type.
        dims: Dimensions.
        **common: ``name``, ``doc_string`` and ``metadata_props``.
    """

    __slots__ = ("_data",)

    def __init__(
        self, data: bytes, dtype: ir.DataType, dims: tuple[int, ...], **common: Any
    ) -> None:
        super().__init__(dtype, dims, **common)
        self._data = data

    @property
    def raw(self) -> bytes:
        """The bytes."""
        return self._data

    def buffer(self) -> bytes:
        """Return the bytes."""
        return self._data

    def tobytes(self) -> bytes:
        """Return the bytes."""
        return self._data


class MappedTensor(RawTensor):
    """A tensor in a region of a file, read when asked for and never kept.

    Args:
        file: The file.
        offset: First byte of the region.
        length: Number of bytes; must fit ``dtype`` and ``dims``.
        dtype: Element type.
        dims: Dimensions.
        **common: ``name``, ``doc_string`` and ``metadata_props``.
    """

    __slots__ = ("file", "length", "offset")

    def __init__(
        self,
        file: DataFile,
        offset: int,
        length: int,
        dtype: ir.DataType,
        dims: tuple[int, ...],
        **common: Any,
    ) -> None:
        super().__init__(dtype, dims, **common)
        self.file = file
        self.offset = offset
        self.length = length

    @property
    def path(self) -> str:
        """The file's path, with links resolved."""
        return self.file.path

    @property
    def raw(self) -> DataFile:
        """The file."""
        return self.file

    def buffer(self) -> Buffer:
        """Return the bytes: a copy when small, else a read-only mapping, kept by whoever uses it."""
        if self.length < _MAP_FROM_BYTES:
            return self.tobytes()
        start = self.offset - self.offset % mmap.ALLOCATIONGRANULARITY
        length = self.offset + self.length - start
        with self.file.open() as descriptor:
            mapped = mmap.mmap(descriptor, length, offset=start, access=mmap.ACCESS_READ)
        return memoryview(mapped)[self.offset - start :]

    def tobytes(self) -> bytes:
        """Read the bytes."""
        with self.file.open() as descriptor:
            return read_exactly(descriptor, self.offset, self.length, self.file)

    def tofile(self, file: Any) -> None:
        """Write the bytes to a binary file, a piece at a time."""
        for piece in file_pieces(self.file, self.offset, self.length):
            file.write(piece)


# To test for with ``type(x) in``: isinstance is slow on subclasses of a protocol.
RAW_TENSORS = frozenset({BytesTensor, MappedTensor})


class ProtoTensor(serde.TensorProtoTensor):
    """A large tensor inside a message that belongs to the caller; renaming leaves the message alone."""

    @property
    def name(self) -> str:
        """The name, which starts as the message's."""
        return self._name if self._name is not None else str(self._proto.name)

    @name.setter
    def name(self, value: str | None) -> None:
        self._name = value


def byte_count(dtype: ir.DataType, dims: tuple[int, ...]) -> int:
    """Number of bytes that ONNX stores a tensor in; a partly filled last byte counts.

    Raises:
        TypeError: If the type has no fixed width (STRING, UNDEFINED).
    """
    count = dtype.bitwidth
    for dim in dims:
        count *= dim
    return (count + 7) // 8


def static_dims(tensor: ir.TensorProtocol) -> tuple[int, ...]:
    """Return a tensor's dims, which are always numbers."""
    if type(tensor) in RAW_TENSORS:
        return tensor.dims  # type: ignore[attr-defined, no-any-return]
    return tuple(dim for dim in tensor.shape if isinstance(dim, int))


def unpack(data: Buffer, dtype: ir.DataType, dims: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """View ONNX bytes as an array of ``dims``; types narrower than a byte are unpacked."""
    if dtype.bitwidth < 8:
        packed: Any = ir.PackedTensor(np.frombuffer(data, np.uint8), dtype, shape=ir.Shape(dims))
        array: np.ndarray[Any, Any] = packed.numpy()
    else:
        array = np.frombuffer(data, dtype.numpy().newbyteorder("<")).reshape(dims)
    array.flags.writeable = False
    return array


def read_exactly(descriptor: int, offset: int, length: int, file: DataFile) -> bytes:
    """Read ``length`` bytes at ``offset``.

    Raises:
        ModelError: If the file ends early.
    """
    data = os.pread(descriptor, length, offset)
    while len(data) < length:
        more = os.pread(descriptor, length - len(data), offset + len(data))
        if not more:
            raise ModelError(f"{file.shown}: the file changed after it was loaded; load it again")
        data += more
    return data


def file_pieces(file: DataFile, offset: int, length: int) -> Iterator[bytes]:
    """Read a region of a file in pieces of ``CHUNK_BYTES``.

    Raises:
        ModelError: If the file changed since it was loaded.
    """
    with file.open() as descriptor:
        for start in range(0, length, CHUNK_BYTES):
            size = min(CHUNK_BYTES, length - start)
            yield read_exactly(descriptor, offset + start, size, file)
