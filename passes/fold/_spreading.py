"""More operators that numpy computes exactly: filling, spreading, choosing, scattering, comparing.

Attention masks are made of these, so that folding them needs no runtime.
Source: the operator specifications of the ``ai.onnx`` domain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

Array = np.ndarray[Any, Any]
Step = Callable[[Sequence[Array | None]], Array]

_PLAIN = frozenset({
    ir.DataType.BOOL, ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.INT32, ir.DataType.INT64,
})  # fmt: skip
"""Element types that numpy has itself and compares as the specification says."""


def spreading_step(
    node: ir.Node, dtypes: Sequence[ir.DataType | None], dims: tuple[int, ...]
) -> Step | None:
    """Returns how to compute a node in numpy; None where that would not be exact.

    Args:
        node: The node; of the default domain, with one output.
        dtypes: The element types of its inputs.
        dims: The dims of its output.
    """
    if any(dtype is not None and dtype not in _PLAIN for dtype in dtypes):
        return None
    kind = node.op_type
    if kind == "ConstantOfShape":
        return _filled(node, dims)
    if kind == "Expand":
        return lambda inputs: np.broadcast_to(_present(inputs, 0), dims)
    if kind == "Equal":
        return lambda inputs: np.equal(_present(inputs, 0), _present(inputs, 1))
    if kind == "Not":
        return lambda inputs: np.logical_not(_present(inputs, 0))
    if kind == "Where":
        return lambda inputs: np.where(*(_present(inputs, i) for i in range(3)))
    if kind == "ScatterND" and _overwrites(node):
        return _scatter
    if kind == "Sqrt" and dtypes[0] in (ir.DataType.FLOAT, ir.DataType.DOUBLE):
        return _sqrt
    return None


def _overwrites(node: ir.Node) -> bool:
    attr = node.attributes.get("reduction")
    return attr is None or (not attr.is_ref() and attr.as_string() == "none")


def _present(inputs: Sequence[Array | None], index: int) -> Array:
    found = inputs[index]
    assert found is not None
    return found


def _filled(node: ir.Node, dims: tuple[int, ...]) -> Step | None:
    attr = node.attributes.get("value")
    if attr is None:
        return lambda _: np.zeros(dims, np.float32)
    if attr.is_ref() or attr.as_tensor().dtype not in _PLAIN:
        return None
    value = attr.as_tensor().numpy().reshape(())
    return lambda _: np.full(dims, value)


def _sqrt(inputs: Sequence[Array | None]) -> Array:
    with np.errstate(all="ignore"):
        result: Array = np.sqrt(_present(inputs, 0))
    return result


def _scatter(inputs: Sequence[Array | None]) -> Array:
    data, indices, updates = (_present(inputs, i) for i in range(3))
    result = np.array(data)
    # Where an index occurs twice the specification leaves the result open.
    result[tuple(np.moveaxis(indices, -1, 0))] = updates
    return result
