"""Arrays of integers inside JSON: compact, and read back exactly.

An array is either a sparse list, ``[index, value, index, value, …]``, or its bytes, deflated, in
base64. The bytes are stored by plane (all first bytes, then all second bytes, …): high bytes are
mostly 0, which deflates well.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
_WIDTHS = (1, 2, 4, 8)


def pack(array: Array) -> dict[str, Any]:
    """An array of integers as JSON, in the shorter form.

    Args:
        array: int64, of one dimension.
    """
    used = np.flatnonzero(array)
    deflated = _deflated(array)
    dense = {"bytes": _width(array), "deflated": deflated}
    if len(used) * 4 >= len(deflated):
        return dense
    listed = np.stack([used, array[used]], axis=1).reshape(-1).tolist()
    sparse = {"sparse": listed}
    return sparse if len(json.dumps(sparse)) < len(json.dumps(dense)) else dense


def unpack(data: dict[str, Any], size: int) -> Array:
    """What ``pack`` packed.

    Args:
        data: From JSON.
        size: The number of elements.

    Returns:
        int64 [size].

    Raises:
        ValueError: It isn't what ``pack`` gives for an array of that size.
    """
    if "sparse" in data:
        pairs = np.asarray(data["sparse"], np.int64).reshape(-1, 2)
        if pairs.size and (pairs[:, 0].min() < 0 or pairs[:, 0].max() >= size):
            raise ValueError("an index is out of range")
        array = np.zeros(size, np.int64)
        array[pairs[:, 0]] = pairs[:, 1]
        return array
    width = int(data["bytes"])
    if width not in _WIDTHS:
        raise ValueError(f"no integers of {width} bytes")
    raw = _inflated(data["deflated"], size * width)
    planes = np.frombuffer(raw, np.uint8).reshape(width, size)
    return np.ascontiguousarray(planes.T).view(f"<i{width}").reshape(size).astype(np.int64)


def _width(array: Array) -> int:
    """Bytes of the smallest signed type that holds all."""
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    return next(w for w in _WIDTHS if -(1 << (8 * w - 1)) <= low and high < 1 << (8 * w - 1))


def _deflated(array: Array) -> str:
    width = _width(array)
    planes = array.astype(f"<i{width}").view(np.uint8).reshape(array.size, width).T
    return base64.b64encode(zlib.compress(planes.tobytes(), 9)).decode("ascii")


def _inflated(text: str, size: int) -> bytes:
    """Inflates to a known size; what is larger is not unpacked at all."""
    engine = zlib.decompressobj()
    try:
        raw = engine.decompress(base64.b64decode(text, validate=True), size + 1)
    except zlib.error as error:
        raise ValueError(f"cannot be inflated: {error}") from None
    if len(raw) != size:
        raise ValueError("has the wrong size")
    return raw
