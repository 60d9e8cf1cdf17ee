"""What a runtime computes in integers between QuantizeLinear and DequantizeLinear, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Weighted:
    """An operator with constant weights that has an integer kernel.

    Attributes:
        weight: The operand that holds the weights.
        bias: The operand that holds the bias; None where there is none.
        channel: The axis of the weights along which scales may differ.
        output: Whether its result must be quantised for the kernel to be used; else that is as its readers want it.
        granularity: ``tensor`` where the kernel takes no scales by channel.
    """

    weight: int = 1
    bias: int | None = None
    channel: int = 0
    output: bool = True
    granularity: str = "channel"


@dataclass(frozen=True)
class Quantization:
    """What a target computes in integers.

    Attributes:
        activations: The type of activations by default, such as ``u8``.
        weights: The type of weights by default.
        granularity: ``channel`` or ``tensor``, by default.
        method: How ranges of activations are chosen by default.
        mode: ``static``, ``dynamic`` or ``weight-only`` where nothing was measured.
        weighted: Operators with weights.
        joined: Operators whose kernel takes all operands quantised, each with its own scale, and gives a quantised result.
        carried: Operators that only move values: the result has the scale of the operand.
        absorbed: Operators that the quantisation of their result makes superfluous, where its limits are theirs.
        stored: What activations of a type are stored as instead, with the same scale and the zero point moved along.
    """

    activations: str = "u8"
    weights: str = "s8"
    granularity: str = "channel"
    method: str = "minmax"
    mode: str = "static"
    weighted: Mapping[str, Weighted] = field(default_factory=dict)
    joined: frozenset[str] = frozenset()
    carried: frozenset[str] = frozenset()
    absorbed: frozenset[str] = frozenset()
    stored: Mapping[str, str] = field(default_factory=dict)


__all__ = ["Quantization", "Weighted"]
