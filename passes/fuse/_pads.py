"""Reading ``Pad`` as extents that a convolution or a pool can take over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from onnxopt.rewrite import Declined, Match

from .._forms import input_of, normalize_all


@dataclass(frozen=True)
class Padding:
    """What a ``Pad`` adds to the spatial axes.

    Attributes:
        begins: Elements before, one for each spatial axis.
        ends: Elements after, one for each spatial axis.
        value: What they hold.
    """

    begins: list[int]
    ends: list[int]
    value: float

    def joined(self, pads: list[int]) -> list[int]:
        """Returns the ``pads`` attribute of the user with this padding added."""
        return [a + b for a, b in zip(pads, self.begins + self.ends, strict=True)]


def spatial_padding(m: Match, node: ir.Node, rank: int) -> Padding:
    """Reads a ``Pad`` that adds constants to the spatial axes of a value ``[N, C, ...]``.

    Raises:
        Declined: It does not pad by a known number, crops, or touches the batch or the channels.
    """
    mode = m.attr(node, "mode", "constant")
    if mode != "constant":
        raise Declined(f"the padding is of mode {mode}")
    pads = _pads(m, node, rank)
    if any(p < 0 for p in pads):
        raise Declined("the padding crops")
    begins, ends = pads[:rank], pads[rank:]
    if any(begins[:2]) or any(ends[:2]):
        raise Declined("the padding adds to the batch or the channels")
    return Padding(begins[2:], ends[2:], _value(m, node))


def _pads(m: Match, node: ir.Node, rank: int) -> list[int]:
    given = input_of(node, 1)
    pads = m.ints(given) if given is not None else [int(p) for p in m.attr(node, "pads", [])]
    axes_input = input_of(node, 3)
    axes = list(range(rank)) if axes_input is None else normalize_all(m.ints(axes_input), rank)
    if len(pads) != 2 * len(axes):
        raise Declined("the padding does not match the rank")
    full = [0] * (2 * rank)
    for i, axis in enumerate(axes):
        full[axis] += pads[i]
        full[axis + rank] += pads[i + len(axes)]
    return full


def _value(m: Match, node: ir.Node) -> float:
    if m.opset(node) < 11:
        return float(m.attr(node, "value", 0.0))
    given = input_of(node, 2)
    return 0.0 if given is None else float(m.const(given).reshape(-1)[0])


def own_pads(m: Match, node: ir.Node, spatial: int) -> list[int]:
    """Returns the ``pads`` of a convolution or a pool.

    Raises:
        Declined: They follow from the size of the input (``auto_pad``).
    """
    auto: Any = m.attr(node, "auto_pad", "NOTSET")
    if auto == "VALID":
        return [0] * (2 * spatial)
    if auto != "NOTSET":
        raise Declined("the operator pads by itself (auto_pad)")
    pads = m.attr(node, "pads") or [0] * (2 * spatial)
    return [int(p) for p in pads]
