"""Running a session on values numpy has no type for: bfloat16, float8, int4 and their kin.

``InferenceSession.run`` refuses those element types. An ``OrtValue`` of the right type can be
allocated though, and its memory read and written; sub-byte types are packed two (or four) to a
byte, first element in the lowest bits, as in the TensorProto specification.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# ml_dtypes name -> (TensorProto.DataType, bits an element, onnxruntime's spelling)
_EXTENDED: dict[str, tuple[int, int, str]] = {
    "bfloat16": (16, 16, "bfloat16"),
    "float8_e4m3fn": (17, 8, "float8e4m3fn"),
    "float8_e4m3fnuz": (18, 8, "float8e4m3fnuz"),
    "float8_e5m2": (19, 8, "float8e5m2"),
    "float8_e5m2fnuz": (20, 8, "float8e5m2fnuz"),
    "uint4": (21, 4, "uint4"),
    "int4": (22, 4, "int4"),
    "float4_e2m1fn": (23, 4, "float4e2m1"),
    "float8_e8m0fnu": (24, 8, "float8e8m0"),
    "uint2": (25, 2, "uint2"),
    "int2": (26, 2, "int2"),
}
_BY_ORT_NAME = {f"tensor({spelling})": name for name, (_, _, spelling) in _EXTENDED.items()}


def is_extended(dtype: np.dtype[Any]) -> bool:
    """True for element types numpy itself does not have."""
    return dtype.name in _EXTENDED


def extended_dtype(name: str) -> np.dtype[Any]:
    """The ml_dtypes dtype called ``name``, such as ``bfloat16``."""
    import ml_dtypes

    dtype: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
    return dtype


def pack(array: np.ndarray) -> bytes:
    """Bytes of an extended-type array as ONNX lays them out (sub-byte types packed)."""
    bits = _EXTENDED[array.dtype.name][1]
    if bits >= 8:
        return np.ascontiguousarray(array).tobytes()
    per_byte = 8 // bits
    codes = array.ravel().view(np.uint8) & np.uint8((1 << bits) - 1)
    codes = np.concatenate([codes, np.zeros(-codes.size % per_byte, np.uint8)])
    shifts = np.arange(per_byte, dtype=np.uint8) * bits
    lanes = codes.reshape(-1, per_byte) << shifts
    return bytes(np.bitwise_or.reduce(lanes, axis=1, dtype=np.uint8).tobytes())


def unpack(raw: bytes, name: str, shape: Sequence[int]) -> np.ndarray:
    """Inverse of `pack` for the dtype called ``name``."""
    bits = _EXTENDED[name][1]
    dtype = extended_dtype(name)
    if bits >= 8:
        return np.frombuffer(raw, dtype=dtype).reshape(shape).copy()
    per_byte = 8 // bits
    packed = np.frombuffer(raw, np.uint8)
    shifts = np.arange(per_byte, dtype=np.uint8) * bits
    codes = ((packed[:, None] >> shifts) & np.uint8((1 << bits) - 1)).ravel()
    codes = codes[: int(np.prod(shape))]
    if name.startswith("int"):  # sign-extend two's complement
        sign = np.uint8(1 << (bits - 1))
        return ((codes ^ sign).astype(np.int8) - np.int8(sign)).astype(dtype).reshape(shape)
    if name.startswith("uint"):
        return codes.astype(dtype).reshape(shape)
    return codes.view(dtype).reshape(shape)


def run_session(session: Any, feeds: Mapping[str, Any]) -> list[Any]:
    """Run all outputs of a session, extended element types included.

    Args:
        session: an ``onnxruntime.InferenceSession``.
        feeds: input name -> array, list of arrays (sequence), None (empty optional) or dict (map).

    Returns:
        The outputs in graph order, in the same representation.
    """
    inputs_extended = any(
        isinstance(value, np.ndarray) and is_extended(value.dtype) for value in feeds.values()
    )
    outputs = session.get_outputs()
    if not inputs_extended and not any(output.type in _BY_ORT_NAME for output in outputs):
        return list(session.run(None, dict(feeds)))
    values = {name: to_ort_value(value) for name, value in feeds.items()}
    results = session.run_with_ort_values([output.name for output in outputs], values)
    return [_from_ort_value(value) for value in results]


def to_ort_value(value: Any) -> Any:
    """An array as an ``OrtValue``, which refers to its memory where numpy has the type.

    Raises:
        TypeError: a type for which onnxruntime's Python API has no ``OrtValue``.
    """
    import onnxruntime as ort

    if not isinstance(value, np.ndarray) or value.dtype == object:
        raise TypeError(
            "onnxruntime's Python API cannot mix strings, sequences or maps with bfloat16, float8 or"
            " sub-byte tensors"
        )
    if not is_extended(value.dtype):
        return ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(value))
    onnx_type = _EXTENDED[value.dtype.name][0]
    result = ort.OrtValue.ortvalue_from_shape_and_type(list(value.shape), onnx_type)
    raw = pack(value)
    if len(raw) != result.tensor_size_in_bytes():
        raise TypeError(f"onnxruntime stores {value.dtype.name} in another size than ONNX does")
    if raw:
        ctypes.memmove(result.data_ptr(), raw, len(raw))
    return result


def _from_ort_value(value: Any) -> Any:
    name = _BY_ORT_NAME.get(value.data_type())
    if name is None:
        return value.numpy()
    size = value.tensor_size_in_bytes()
    raw = ctypes.string_at(value.data_ptr(), size) if size else b""
    return unpack(raw, name, value.shape())
