"""Constants in a shorter type: which may be rounded, which are masks, which must stay.

A number beyond the range of float16 is either a mask, which only has to be very small and becomes the lowest finite
value, or a weight, whose users then stay in single precision. So do those of a single number that would
become zero, such as the epsilon of a normalisation written out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx_ir as ir

_MASK = 1e6
_FEW = 16
_RANGE = {
    ir.DataType.FLOAT16: (65504.0, 2.0**-24),
    ir.DataType.BFLOAT16: (2.0**128 - 2.0**120, 2.0**-133),
}
"""The largest finite number of each type, and the smallest above zero."""
_LAZY_ABOVE = 1 << 16


@dataclass(frozen=True)
class Survey:
    """What rounding a constant to a shorter type does.

    Attributes:
        reason: Why its users must stay in single precision, or ''.
        masks: Whether it holds mask values that are beyond the range.
        flushed: The share of its elements that become zero and were not.
    """

    reason: str = ""
    masks: bool = False
    flushed: float = 0.0


def survey(tensor: ir.TensorProtocol, to: ir.DataType) -> Survey:
    """Looks at a constant in single precision.

    Args:
        tensor: The constant; its elements are read.
        to: The shorter type.
    """
    array = tensor.numpy().reshape(-1)
    if not array.size:
        return Survey()
    top, least = _RANGE[to]
    size = np.abs(array)
    peak = float(size.max())
    masks = False
    if not peak <= top:  # NaN goes on
        beyond = np.isfinite(array) & (size > top)
        masks = bool(beyond.any())
        if masks and not _is_mask(array, size, beyond):
            return Survey(
                f"a constant holds {float(size[beyond].max()):.3g}, out of the type's range"
            )
    lost = int(np.count_nonzero((size > 0) & (size <= least / 2)))
    if lost and array.size <= _FEW:
        return Survey(f"a constant of {float(size[size > 0].min()):.3g} would become zero")
    return Survey("", masks, lost / array.size)


def _is_mask(array: np.ndarray, size: np.ndarray, beyond: np.ndarray) -> bool:
    """Whether all that is out of range has one size, far out, and all else is 0, 1 or infinite."""
    extremes = np.unique(size[beyond])
    rest = array[~beyond]
    return (
        extremes.size == 1
        and float(extremes[0]) >= _MASK
        and bool(np.isin(rest, (0.0, 1.0, -np.inf, np.inf)).all())
    )


def rounded(tensor: ir.TensorProtocol, to: ir.DataType) -> ir.TensorProtocol:
    """A constant in a shorter type, computed when the model is written unless it is small.

    Args:
        tensor: The constant in single precision.
        to: The shorter type. Finite values beyond its range become its extremes.
    """
    if tensor.nbytes <= _LAZY_ABOVE:
        return _compute(tensor, to)
    return ir.LazyTensor(partial(_compute, tensor, to), to, ir.Shape(tensor.shape.numpy()))


def _compute(tensor: ir.TensorProtocol, to: ir.DataType) -> ir.TensorProtocol:
    array = tensor.numpy()
    with np.errstate(over="ignore", invalid="ignore"):
        short = array.astype(to.numpy())
    if to in _RANGE:
        lost = np.isinf(short) & np.isfinite(array)
        if lost.any():
            short = np.where(lost, np.copysign(_RANGE[to][0], array), array).astype(to.numpy())
    return ir.Tensor(np.asarray(short, order="C"), dtype=to)
