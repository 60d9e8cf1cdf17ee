"""Operators that numpy computes exactly as their specification says, for constants of any size.

Data movement, for every element type, and arithmetic of float32 and float64, which IEEE 754 defines
to the last bit. Everything else goes to the runtime.
Source: the operator specifications of the ``ai.onnx`` domain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from ._spreading import spreading_step

Array = np.ndarray[Any, Any]
Step = Callable[[Sequence[Array | None]], Array]

MOVES_NOTHING = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
"""Operators that keep all elements in their order, so that the output's dims say it all."""

_IEEE = frozenset({ir.DataType.FLOAT, ir.DataType.DOUBLE})
_ARITHMETIC: dict[str, Callable[[Array, Array], Array]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
}


def step_for(
    node: ir.Node, dtypes: Sequence[ir.DataType | None], dims: tuple[int, ...], version: int
) -> Step | None:
    """Returns how to compute a node's first output in numpy; None where that would not be exact.

    Args:
        node: The node.
        dtypes: The element types of its inputs.
        dims: The dims of its first output.
        version: The opset version in force.
    """
    kind = node.op_type
    if node.domain != "" or len(node.outputs) != 1:
        return None
    if kind in MOVES_NOTHING:
        return lambda inputs: _first(inputs).reshape(dims)
    if kind == "Transpose":
        attr = node.attributes.get("perm")
        perm = None if attr is None else tuple(attr.as_ints())
        return lambda inputs: _first(inputs).transpose(perm)
    if kind == "Slice" and version >= 10:
        return _slice
    if kind == "Concat":
        axis = node.attributes["axis"].as_int() if "axis" in node.attributes else 1
        return lambda inputs: np.concatenate([a for a in inputs if a is not None], axis=axis)
    if kind in _ARITHMETIC and version >= 7 and all(dtype in _IEEE for dtype in dtypes):
        return _arithmetic(_ARITHMETIC[kind])
    if kind == "Cast":
        return _cast(node, dtypes[0])
    return spreading_step(node, dtypes, dims)


def _first(inputs: Sequence[Array | None]) -> Array:
    first = inputs[0]
    assert first is not None
    return first


def _arithmetic(function: Callable[[Array, Array], Array]) -> Step:
    def compute(inputs: Sequence[Array | None]) -> Array:
        left, right = inputs
        assert left is not None
        assert right is not None
        with np.errstate(all="ignore"):
            return function(left, right)

    return compute


def _cast(node: ir.Node, source: ir.DataType | None) -> Step | None:
    target = ir.DataType(node.attributes["to"].as_int())
    if source == target:
        return _first
    floats = {ir.DataType.FLOAT16, *_IEEE}
    # Out-of-range floats to integers, and rounding to 8 bits and fewer, differ between libraries.
    whole = {ir.DataType.BOOL, ir.DataType.INT32, ir.DataType.INT64}
    if target not in floats or source not in (floats | whole):
        return None
    dtype = target.numpy()

    def compute(inputs: Sequence[Array | None]) -> Array:
        with np.errstate(all="ignore"):
            return _first(inputs).astype(dtype)

    return compute


def _slice(inputs: Sequence[Array | None]) -> Array:
    data, starts, ends = inputs[:3]
    axes = inputs[3] if len(inputs) > 3 else None
    steps = inputs[4] if len(inputs) > 4 else None
    assert data is not None
    assert starts is not None
    assert ends is not None
    which = range(len(starts)) if axes is None else [int(a) for a in axes]
    pace = [1] * len(starts) if steps is None else [int(s) for s in steps]
    index = [slice(None)] * data.ndim
    for axis, start, end, step in zip(which, starts.tolist(), ends.tolist(), pace, strict=True):
        index[axis] = _bounds(start, end, step, data.shape[axis])
    return data[tuple(index)]


def _bounds(start: int, end: int, step: int, size: int) -> slice:
    """Clamps as the specification of Slice does; a backward slice may run past the first element."""
    start = start + size if start < 0 else start
    end = end + size if end < 0 else end
    if step > 0:
        return slice(min(max(start, 0), size), min(max(end, 0), size), step)
    start, end = min(max(start, 0), size - 1), min(max(end, -1), size - 1)
    return slice(start, None if end < 0 else end, step)
