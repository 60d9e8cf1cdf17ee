"""How element types are called in messages: as NumPy calls them."""

from __future__ import annotations

import onnx_ir as ir

_NAMES = {ir.DataType.FLOAT: "float32", ir.DataType.DOUBLE: "float64"}


def dtype_name(dtype: ir.DataType | None) -> str:
    """The name of an element type, such as ``float32`` or ``bfloat16``; ``?`` when it is unknown."""
    return "?" if dtype is None else _NAMES.get(dtype, dtype.name.lower())
