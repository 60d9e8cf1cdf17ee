"""Which values are constants, and what they hold.

A constant is the output of a ``Constant`` node or an initializer that nothing can override. An initializer that is
also listed as an input of the graph can be overridden by the caller and is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from onnxopt.analysis.context import MAX_CONTENT, TRACKED, Content

_NUMPY: dict[str, Any] = {
    "value_int": np.int64,
    "value_ints": np.int64,
    "value_float": np.float32,
    "value_floats": np.float32,
}


def constant_of(value: ir.Value) -> ir.TensorProtocol | None:
    """The tensor a constant holds, unread; None for what is no constant."""
    node = value.producer()
    if node is None:
        return None if value.is_graph_input() else value.const_value
    if node.op_type != "Constant" or node.domain != "":
        return None
    return constant_node_tensor(node)


def constant_node_tensor(node: ir.Node) -> ir.TensorProtocol | None:
    """The tensor of a ``Constant`` node; None for a sparse one or one that refers to a function's attribute."""
    for name, attr in node.attributes.items():
        if attr.is_ref():
            return None
        if name == "value":
            # Attr.as_tensor would check a protocol at run time, which costs more than all the rest.
            tensor: ir.TensorProtocol = attr.value
            return tensor
        if name in ("value_string", "value_strings"):
            return _string_tensor(attr.value)
        if name in _NUMPY:
            return ir.Tensor(np.asarray(attr.value, _NUMPY[name]))
    return None


def _string_tensor(value: str | bytes | Sequence[str | bytes]) -> ir.TensorProtocol:
    scalar = isinstance(value, str | bytes)
    items: Sequence[str | bytes] = [value] if isinstance(value, str | bytes) else value
    encoded = [item.encode() if isinstance(item, str) else item for item in items]
    return ir.StringTensor(encoded, shape=ir.Shape([] if scalar else [len(encoded)]))


def cells_of(tensor: ir.TensorProtocol) -> tuple[int, ...] | None:
    """The elements of a small integer or boolean tensor, the last dimension varying fastest; None for any other."""
    if tensor.dtype not in TRACKED or tensor.size > MAX_CONTENT:
        return None
    items: list[int] = tensor.numpy().reshape(-1).tolist()
    return tuple(map(int, items))


def content_of(tensor: ir.TensorProtocol) -> Content | None:
    """The elements of a small integer or boolean tensor of rank 0 or 1; None for any other."""
    rank = len(tensor.shape)
    if rank > 1:
        return None
    cells = cells_of(tensor)
    return cells if cells is None or rank else cells[0]
