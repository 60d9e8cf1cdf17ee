"""When two tensors are the same: keys that are equal for equal tensors, cheap ones first."""

from __future__ import annotations

import os
from collections.abc import Hashable

import numpy as np
import onnx_ir as ir

from onnxopt.io.tensors import content_digest, file_region

_SMALL_BYTES = 1024
_SAMPLES = 8
_SAMPLE_BYTES = 64


def kind_key(tensor: ir.TensorProtocol) -> Hashable:
    """Returns the element type and dims."""
    return (tensor.dtype, tuple(tensor.shape.numpy()))


def quick_key(tensor: ir.TensorProtocol) -> Hashable:
    """Returns a key that costs next to nothing; equal tensors have equal keys."""
    if isinstance(tensor, ir.LazyTensor):
        # Computing it would cost what laziness saves. The same source is the same content.
        return ("lazy", getattr(tensor, "recipe", id(tensor)))
    if tensor.dtype == ir.DataType.STRING:
        return content_digest(tensor)
    if tensor.nbytes <= _SMALL_BYTES:
        return tensor.tobytes()
    if tensor.dtype.bitwidth < 8:
        # Packed in a file and unpacked in memory: samples of the two would not compare.
        return None
    region = file_region(tensor)
    if region is None:
        return _sample_memory(tensor)
    file, offset, length = region
    with file.open() as descriptor:
        return tuple(
            os.pread(descriptor, _SAMPLE_BYTES, offset + start) for start in _starts(length)
        )


def content_key(tensor: ir.TensorProtocol) -> Hashable:
    """Returns a key that is equal for equal content only; reads large tensors a piece at a time."""
    if isinstance(tensor, ir.LazyTensor) or tensor.dtype == ir.DataType.STRING:
        return quick_key(tensor)
    if tensor.nbytes <= _SMALL_BYTES:
        return tensor.tobytes()
    return content_digest(tensor)


def _starts(length: int) -> list[int]:
    step = max(length // _SAMPLES, 1)
    return [min(i * step, max(length - _SAMPLE_BYTES, 0)) for i in range(_SAMPLES)] + [
        max(length - _SAMPLE_BYTES, 0)
    ]


def _sample_memory(tensor: ir.TensorProtocol) -> Hashable:
    array = np.ascontiguousarray(tensor.numpy())
    # As unsigned bytes, so that -0.0 and NaN compare by their bits.
    data = array.reshape(-1).view(np.uint8)
    return tuple(data[start : start + _SAMPLE_BYTES].tobytes() for start in _starts(data.size))
