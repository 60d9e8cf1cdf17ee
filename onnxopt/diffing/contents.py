"""Numbers for the contents of tensors: equal numbers for equal types, dims and bytes.

Tensors are told apart by type and dims, then by a few sampled bytes; only those alike in both are compared whole, a piece at
a time, and never where they are the same region of the same file.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Hashable

import onnx_ir as ir

from onnxopt.errors import ModelError
from onnxopt.io.stored import MappedTensor
from onnxopt.io.tensors import chunks, content_digest, file_region, same_bytes

_SMALL_BYTES = 1024
_SAMPLES = 8
_SAMPLE_BYTES = 64
_PIECE_BYTES = 256 << 10


class Contents:
    """Numbers contents, of both models together."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._kept: list[ir.TensorProtocol] = []
        self._alike: dict[Hashable, list[tuple[ir.TensorProtocol, int]]] = defaultdict(list)
        self._count = 0

    def of(self, tensor: ir.TensorProtocol) -> int:
        """Returns the number of a tensor's content.

        Raises:
            ModelError: A file that holds the bytes changed or is gone.
        """
        number = self._numbers.get(id(tensor))
        if number is None:
            number = self._find(tensor)
            self._numbers[id(tensor)] = number
            self._kept.append(tensor)
        return number

    def _find(self, tensor: ir.TensorProtocol) -> int:
        alike = self._alike[tensor.dtype, tuple(tensor.shape.numpy()), _sample(tensor)]
        for other, number in alike:
            if _whole_in_sample(tensor) or _equal(tensor, other):
                return number
        self._count += 1
        alike.append((tensor, self._count))
        return self._count


def _whole_in_sample(tensor: ir.TensorProtocol) -> bool:
    return tensor.dtype == ir.DataType.STRING or tensor.nbytes <= _SMALL_BYTES


def _sample(tensor: ir.TensorProtocol) -> Hashable:
    if tensor.dtype == ir.DataType.STRING:
        return content_digest(tensor)
    if tensor.nbytes <= _SMALL_BYTES:
        return b"".join(bytes(piece) for piece in chunks(tensor))
    region = file_region(tensor)
    if region is None:
        whole = b"".join(bytes(piece) for piece in chunks(tensor))
        return tuple(whole[at : at + _SAMPLE_BYTES] for at in _places(len(whole)))
    file, offset, length = region
    with file.open() as descriptor:
        return tuple(os.pread(descriptor, _SAMPLE_BYTES, offset + at) for at in _places(length))


def _places(length: int) -> list[int]:
    last = max(length - _SAMPLE_BYTES, 0)
    return [min(i * (length // _SAMPLES), last) for i in range(_SAMPLES)] + [last]


def _equal(a: ir.TensorProtocol, b: ir.TensorProtocol) -> bool:
    if not (isinstance(a, MappedTensor) and isinstance(b, MappedTensor)):
        return same_bytes(a, b)
    if a.file == b.file and a.offset == b.offset:
        return True
    with a.file.open() as here, b.file.open() as there:
        return _equal_regions((here, a.offset), (there, b.offset), a.length)


def _equal_regions(a: tuple[int, int], b: tuple[int, int], length: int) -> bool:
    """Compares regions of two open files, by pieces that stay in the processor's cache."""
    left, right = bytearray(_PIECE_BYTES), bytearray(_PIECE_BYTES)
    for start in range(0, length, _PIECE_BYTES):
        size = min(_PIECE_BYTES, length - start)
        for (descriptor, offset), buffer in ((a, left), (b, right)):
            if size < len(buffer):
                del buffer[size:]
            if os.preadv(descriptor, [buffer], offset + start) != size:
                raise ModelError("a file of weights changed while it was read")
        if left != right:
            return False
    return True
