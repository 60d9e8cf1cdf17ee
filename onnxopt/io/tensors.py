"""The bytes of any tensor, a piece at a time: to write, to compare, to digest.

Works for every kind of ``ir.TensorProtocol`` with memory bounded by one piece, except for kinds that
can only produce all their bytes at once (lazily computed, packed on the fly, non-contiguous arrays),
where it is bounded by one tensor.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx_ir as ir

from onnxopt.errors import ModelError
from onnxopt.io.paths import DataFile
from onnxopt.io.stored import CHUNK_BYTES, RAW_TENSORS, Buffer, MappedTensor, file_pieces


def evaluated(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    """Return the tensor that a lazy tensor computes, or the tensor itself.

    Raises:
        ModelError: If computing fails, or gives another type or dims than the lazy tensor announced.
    """
    if type(tensor) in RAW_TENSORS:
        return tensor
    result = tensor
    while isinstance(result, ir.LazyTensor):
        result = _compute(result)
    if result.dtype != tensor.dtype or tuple(result.shape) != tuple(tensor.shape):
        raise ModelError(
            f"tensor '{tensor.name}': announced as {tensor.dtype}{list(tensor.shape)} but computed as "
            f"{result.dtype}{list(result.shape)}; this is a defect of the pass that made it"
        )
    return result


def _compute(tensor: ir.LazyTensor) -> ir.TensorProtocol:
    try:
        if tensor.cache and tensor.dtype != ir.DataType.STRING:
            return ir.Tensor(tensor.numpy(), tensor.dtype)
        return tensor.raw()
    except ModelError:
        raise
    except MemoryError as error:
        raise ModelError(
            f"tensor '{tensor.name}': there is not enough memory to compute it"
        ) from error
    except Exception as error:
        cause = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ModelError(f"tensor '{tensor.name}': computing it failed ({cause})") from error


def file_region(tensor: ir.TensorProtocol) -> tuple[DataFile, int, int] | None:
    """Say where a tensor's bytes lie: file, offset and length in bytes; None when not in a file."""
    if isinstance(tensor, MappedTensor):
        return tensor.file, tensor.offset, tensor.length
    if isinstance(tensor, ir.ExternalTensor):
        what = f"tensor '{tensor.name}': "
        file = DataFile.of(tensor.path, os.fspath(tensor.location), what)
        offset, length = tensor.offset or 0, tensor.nbytes
        if offset + length > file.size:
            raise ModelError(f"{what}'{file.shown}' ends before the tensor does; it is incomplete")
        return file, offset, length
    return None


def chunks(tensor: ir.TensorProtocol) -> Iterator[Buffer]:
    """Yield a tensor's ONNX bytes in order, in pieces.

    Strings are yielded one by one, each behind its length as eight bytes.

    Args:
        tensor: Any tensor of the IR.

    Yields:
        Pieces of at most a few megabytes, unless the tensor hands out its bytes only as a whole.

    Raises:
        ModelError: If a file that holds the bytes changed or is gone.
    """
    tensor = evaluated(tensor)
    region = file_region(tensor)
    if region is not None:
        yield from file_pieces(*region)
    elif tensor.dtype == ir.DataType.STRING:
        for text in _strings(tensor):
            yield len(text).to_bytes(8, "little") + text
    else:
        whole = _view(tensor)
        for start in range(0, len(whole), CHUNK_BYTES):
            yield whole[start : start + CHUNK_BYTES]


def _strings(tensor: ir.TensorProtocol) -> list[bytes]:
    if isinstance(tensor, ir.StringTensor):
        items: list[Any] = list(tensor.string_data())
    else:
        items = tensor.numpy().reshape(-1).tolist()
    return [item.encode() if isinstance(item, str) else bytes(item) for item in items]


def _view(tensor: ir.TensorProtocol) -> memoryview:
    """View the bytes of a tensor that is in memory, without a copy where the layout allows."""
    if not isinstance(tensor, ir.Tensor) or tensor.dtype.bitwidth < 8:
        return memoryview(tensor.tobytes())
    array = tensor.numpy()
    if array.dtype.byteorder == ">" or (sys.byteorder == "big" and array.dtype.byteorder == "="):
        array = array.astype(array.dtype.newbyteorder("<"))
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def same_bytes(a: ir.TensorProtocol, b: ir.TensorProtocol) -> bool:
    """Whether two tensors have the same type, dims and bytes.

    Bytes decide, so 0.0 and -0.0 differ and equal NaNs are the same.

    Args:
        a: A tensor.
        b: Another.
    """
    if a is b:
        return True
    if a.dtype != b.dtype or tuple(a.shape) != tuple(b.shape):
        return False
    here, there = file_region(a), file_region(b)
    if here is not None and here == there:
        return True
    return _equal_streams(chunks(a), chunks(b))


def _equal_streams(left: Iterator[Buffer], right: Iterator[Buffer]) -> bool:
    """Compare two runs of pieces that may be cut differently."""
    a, b = memoryview(b""), memoryview(b"")
    while True:
        a = a or memoryview(next(left, b""))
        b = b or memoryview(next(right, b""))
        size = min(len(a), len(b))
        if size == 0:
            return len(a) == len(b)
        if a[:size] != b[:size]:
            return False
        a, b = a[size:], b[size:]


def content_digest(tensor: ir.TensorProtocol) -> bytes:
    """Digest a tensor's type, dims and bytes, so that equal digests mean ``same_bytes``.

    Args:
        tensor: Any tensor of the IR.

    Returns:
        A 32-byte BLAKE2b digest.
    """
    digest = hashlib.blake2b(digest_size=32)
    digest.update(f"{tensor.dtype.value}:{list(tensor.shape)};".encode())
    for piece in chunks(tensor):
        digest.update(piece)
    return digest.digest()
