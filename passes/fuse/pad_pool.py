"""Takes a ``Pad`` into the padding of the pool after it, where that means the same.

Zero is not the identity of the maximum: a ``MaxPool`` takes over zeros only where no element is
negative, and minus infinity always. An ``AveragePool`` that shall divide by the whole window needs
``count_include_pad``.
"""

from __future__ import annotations

import math

import onnx_ir as ir

from onnxopt.rewrite import Builder, Declined, Match, Skip, op, rule

from .._kinds import FLOATS
from ._pads import Padding, own_pads, spatial_padding

_PAD = op.Pad("x", ..., bind="pad", shared=True)
_NONNEGATIVE = frozenset({"Relu", "Sigmoid", "Softmax", "Softplus", "Exp", "Abs", "HardSigmoid"})
_UNSIGNED = frozenset({ir.DataType.UINT8, ir.DataType.UINT16})


def _merged(m: Match, padding: Padding) -> list[int]:
    """Returns the pool's padding with the ``Pad`` in it; both runtimes and windows must allow it."""
    node = m.node("pool")
    kernel = m.attr(node, "kernel_shape")
    pads = padding.joined(own_pads(m, node, len(kernel)))
    if m.attr(node, "ceil_mode", 0):
        raise Declined("the pool rounds its output size up")
    if any(d != 1 for d in m.attr(node, "dilations") or []):
        raise Declined("the pool is dilated")
    if any(p >= k for p, k in zip(pads, [*kernel, *kernel], strict=True)):
        raise Declined("a window would lie in the padding alone")
    return pads


def _nonnegative(m: Match, value: ir.Value) -> bool:
    dtype = m.facts.dtype(value)
    if dtype in _UNSIGNED:
        return True
    node = value.producer()
    if dtype not in FLOATS and node is not None and node.op_type == "Abs":
        # The smallest integer has no positive twin: its absolute value wraps around to itself.
        return False
    return node is not None and node.domain == "" and node.op_type in _NONNEGATIVE


@rule(op.AveragePool(_PAD, bind="pool"))
def fuse_pad_average_pool(m: Match, build: Builder) -> ir.Value | Skip:
    """Take the zeros of a ``Pad`` into the padding of the ``AveragePool`` after it.

    They count in the average, hence ``count_include_pad``. Declines where the pool has padding of its own
    that does not count, rounds up, is dilated, or would have a window of padding alone.

    Example: AveragePool(Pad(x, ...)) -> AveragePool<pads=[1,1,1,1], count_include_pad=1>(x)
    """
    node = m.node("pool")
    spatial = len(m.attr(node, "kernel_shape"))
    padding = spatial_padding(m, m.node("pad"), spatial + 2)
    if padding.value != 0.0:
        return Skip("the padding is not zero")
    if any(own_pads(m, node, spatial)) and not m.attr(node, "count_include_pad", 0):
        return Skip("the pool's own padding does not count")
    pads = _merged(m, padding)
    return build.like(node, m.value("x"), auto_pad=None, pads=pads, count_include_pad=1)


@rule(op.MaxPool(_PAD, bind="pool"))
def fuse_pad_max_pool(m: Match, build: Builder) -> ir.Value | Skip:
    """Take a ``Pad`` into the padding of the ``MaxPool`` after it.

    Only minus infinity, or zero where no element is negative (after ``Relu`` and the like, or of an
    unsigned type). Declines as ``fuse-pad-average-pool`` does, and where the indices are used.

    Example: MaxPool(Pad(Relu(x), ...)) -> MaxPool<pads=[1,1,1,1]>(Relu(x))
    """
    node = m.node("pool")
    padding = spatial_padding(m, m.node("pad"), len(m.attr(node, "kernel_shape")) + 2)
    if padding.value == 0.0 and not _nonnegative(m, m.value("x")):
        return Skip("zero is not the identity of the maximum where elements may be negative")
    if padding.value not in (0.0, -math.inf):
        return Skip("the padding is neither zero nor minus infinity")
    return build.like(
        node, m.value("x"), outputs=1, auto_pad=None, pads=_merged(m, padding), storage_order=None
    )
