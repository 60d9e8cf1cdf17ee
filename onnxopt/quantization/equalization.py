"""Cross-layer equalisation: factors for the channels between layers, so that each layer's weights fill their range.

Where what lies between two layers satisfies f(c x) = c f(x) for c > 0 in every channel, output channel i of the first may
be multiplied by c_i and input channel i of the second divided by it. With r1_i and r2_i the largest magnitudes of the
weights of channel i on either side, c_i = sqrt(r2_i / r1_i) makes both sqrt(r1_i r2_i). A depthwise convolution in between
has one magnitude a channel of its own, and all of them become their geometric mean. A layer that takes part on both sides
changes what either side sees, so this is repeated until nothing moves.

Source: Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, 2019, sections 4.1 and
appendix A; the paper's s is 1 / c.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
_BLOCK = 1 << 18
_SETTLED = 1e-3
_MOST_SWEEPS = 100
_WIDEST = 1e4
"""No channel is multiplied or divided by more: activations would leave the range of what is added to them."""


@dataclass(frozen=True)
class LayerWeights:
    """The magnitudes of a layer's weights, as far as equalisation looks at them.

    Attributes:
        table: Floats [groups, outputs / groups, inputs / groups]: the weights themselves, or the largest magnitude over the
            positions of a kernel. Signs do not matter.
        spread: How many consecutive inputs belong to one channel of the layer before (a feature map that was flattened).
    """

    table: Array
    spread: int = 1

    @property
    def outputs(self) -> int:
        """The number of output channels."""
        return int(self.table.shape[0] * self.table.shape[1])

    @property
    def inputs(self) -> int:
        """The number of input channels, those of one ``spread`` taken together."""
        return int(self.table.shape[0] * self.table.shape[2]) // self.spread

    @property
    def depthwise(self) -> bool:
        """Whether each output channel reads the input channel of its own number, and nothing else."""
        return self.table.shape[1:] == (1, 1) and self.spread == 1

    def by_output(self, before: Array | None) -> Array:
        """The largest magnitude of each output channel: float64 [outputs].

        Args:
            before: What the inputs were multiplied by, [inputs]; None for nothing.
        """
        scale = None if before is None else np.repeat(1.0 / before, self.spread)
        groups, rows, columns = self.table.shape
        found = np.zeros((groups, rows))
        by_group = None if scale is None else scale.reshape(groups, 1, columns)
        for block in _blocks(self.table):
            part = np.abs(self.table[block])
            if by_group is not None:
                part = part * by_group[block[0]]
            found[block] = part.max(axis=2, initial=0.0)
        return found.reshape(-1)

    def by_input(self, after: Array | None) -> Array:
        """The largest magnitude of each input channel: float64 [inputs].

        Args:
            after: What the outputs are multiplied by, [outputs]; None for nothing.
        """
        groups, rows, columns = self.table.shape
        found = np.zeros((groups, columns))
        by_group = None if after is None else after.reshape(groups, rows, 1)
        for block in _blocks(self.table):
            part = np.abs(self.table[block])
            if by_group is not None:
                part = part * by_group[block]
            found[block[0]] = np.maximum(found[block[0]], part.max(axis=1, initial=0.0))
        largest: Array = found.reshape(-1, self.spread).max(axis=1)
        return largest


def magnitudes(weight: Array, groups: int) -> Array:
    """The table of a convolution's weights.

    Args:
        weight: [outputs, inputs / groups, ...], one entry for each position of the kernel.
        groups: The number of groups.

    Returns:
        [groups, outputs / groups, inputs / groups]; a view of ``weight`` where the kernel has one position.
    """
    outputs, inputs = weight.shape[:2]
    flat = weight.reshape(outputs, inputs, -1)
    if flat.shape[2] == 1:
        return flat.reshape(groups, outputs // groups, inputs)
    table = np.empty((outputs, inputs), weight.dtype)
    step = max(1, _BLOCK // max(1, inputs * flat.shape[2]))
    for start in range(0, outputs, step):
        table[start : start + step] = np.abs(flat[start : start + step]).max(axis=2, initial=0.0)
    return table.reshape(groups, outputs // groups, inputs)


def equalised(layers: Sequence[LayerWeights]) -> list[Array]:
    """Finds the factors for the channels between layers that follow one another.

    Args:
        layers: At least two; each has as many input channels as the one before has output channels.

    Returns:
        For each layer but the last, float64 [outputs]: what its output channels are to be multiplied by, and the inputs of
        the next divided by. 1 where a channel has only zeros on one of its sides.
    """
    factors = [np.ones(layer.outputs) for layer in layers[:-1]]
    spans = _spans(layers)
    for _ in range(_MOST_SWEEPS):
        moved = 0.0
        for first, last in spans:
            moved = max(moved, _balance(layers, factors, first, last))
        if moved < _SETTLED:
            break
    return factors


def _spans(layers: Sequence[LayerWeights]) -> list[tuple[int, int]]:
    """Pairs of layers with nothing but depthwise convolutions between them."""
    ends = [i for i, x in enumerate(layers) if i in (0, len(layers) - 1) or not x.depthwise]
    return list(pairwise(ends))


def _balance(layers: Sequence[LayerWeights], factors: list[Array], first: int, last: int) -> float:
    """Settles the channels between two layers; returns the largest change, as a logarithm."""
    before = factors[first - 1] if first else None
    after = factors[last] if last < len(factors) else None
    ranges = [
        layers[first].by_output(before),
        *(np.abs(layers[i].table).astype(np.float64).reshape(-1) for i in range(first + 1, last)),
        layers[last].by_input(after),
    ]
    usable = np.logical_and.reduce([(r > 0.0) & np.isfinite(r) for r in ranges])
    logs = [np.log(np.where(usable, r, 1.0)) for r in ranges]
    target = sum(logs) / len(logs)
    total, moved = np.zeros_like(target), 0.0
    for index, own in zip(range(first, last), logs, strict=False):
        total = total + target - own
        limited = np.clip(total, -np.log(_WIDEST), np.log(_WIDEST))
        new = np.where(usable, np.exp(limited), 1.0)
        moved = max(moved, float(np.abs(np.log(new / factors[index])).max(initial=0.0)))
        factors[index] = new
    return moved


def _blocks(table: Array) -> list[tuple[slice, slice]]:
    """Parts of a table along its first two axes, of a bounded size."""
    groups, rows, columns = table.shape
    if rows * columns <= _BLOCK:
        step = max(1, _BLOCK // max(1, rows * columns))
        return [(slice(g, g + step), slice(None)) for g in range(0, groups, step)]
    step = max(1, _BLOCK // max(1, columns))
    return [
        (slice(g, g + 1), slice(r, r + step)) for g in range(groups) for r in range(0, rows, step)
    ]


def rescaled(weight: Array, groups: int, after: Array | None, before: Array | None) -> Array:
    """Weights whose channels are scaled, in float64 and rounded once.

    Args:
        weight: Floats [outputs, inputs / groups, ...]; may be a view.
        groups: The number of groups.
        after: What output channels are multiplied by, [outputs]; None for nothing.
        before: What input channels were multiplied by, [inputs]; None for nothing.
    """
    outputs, inputs = weight.shape[:2]
    out = np.empty_like(weight)
    spatial = (1,) * (weight.ndim - 2)
    undone = None if before is None else (1.0 / before).reshape(groups, inputs, *spatial)
    step = max(1, _BLOCK // max(1, weight.size // max(1, outputs)))
    for start in range(0, outputs, step):
        block = slice(start, min(start + step, outputs))
        part = weight[block].astype(np.float64)
        if after is not None:
            part *= after[block].reshape(-1, 1, *spatial)
        if undone is not None:
            group = np.arange(block.start, block.stop) // (outputs // groups)
            part *= undone[group] if groups > 1 else undone
        out[block] = part
    return out
