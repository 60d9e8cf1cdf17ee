"""Half-quadratic quantisation: a grid on which few weights are far off, without data.

Badri and Shaji, "Half-Quadratic Quantization of Large Machine Learning Models" (2023): minimises the p-norm of the
weights' error, p < 1, which leaves outliers out and fits the rest. The error is split in a sparse part, given by
a proximal step in closed form, and a rest that is fitted by least squares. The paper fits the zero point alone,
as a real number; the zero points of DequantizeLinear are integers, so the scale is fitted as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .blocks import Array, Scheme, nearest, usable

_TINY = np.float32(1e-6)


@dataclass(frozen=True)
class HalfQuadratic:
    """Betters scales and zero points; a ``Fit`` of ``blocks.round_to_nearest``.

    Errors are measured in steps of the first grid, so that the result does not depend on the weights' unit.

    Attributes:
        norm: p of the norm that is minimised.
        weight: How strongly the two parts of the error are tied (beta in the paper).
        growth: By what that grows in each step (kappa).
        steps: How many steps at most; fewer where no block gets better.
    """

    norm: float = 0.7
    weight: float = 10.0
    growth: float = 1.05
    steps: int = 20

    def __call__(
        self, blocks: Array, scheme: Scheme, scale: Array, zero: Array
    ) -> tuple[Array, Array]:
        """Returns the best grid found for each block, the given one included.

        Args:
            blocks: [B, R, N], float32.
            scheme: How they are stored.
            scale: [B, N].
            zero: [B, N], whole numbers.
        """
        unit = scale.astype(np.float32)
        values = blocks / unit[:, None, :]
        size, shift, tie = np.ones_like(unit), zero.astype(np.float32), self.weight
        best = _Best(scheme, unit)
        for _ in range(self.steps):
            stored = usable(size * unit, scheme)
            size = stored.astype(np.float32) / unit
            steps = nearest(values, scheme.qtype, size, shift)
            steps -= shift[:, None, :]
            error = values - steps * size[:, None, :]
            far = np.abs(error)
            pull = np.maximum(far, _TINY) ** np.float32(self.norm - 1.0)
            if not best.take((far * pull).sum(axis=1), stored, shift):
                break
            # The proximal step: what the norm would rather leave as an error is taken out of the target.
            far -= pull / np.float32(tie)
            target = values - np.copysign(np.maximum(far, 0.0, out=far), error)
            size, shift = self._fitted(steps, target, size, shift, scheme)
            tie *= self.growth
        return best.scale, best.zero

    def _fitted(
        self, steps: Array, target: Array, size: Array, shift: Array, scheme: Scheme
    ) -> tuple[Array, Array]:
        """Scale and zero point that bring the stored integers nearest to a target, by least squares."""
        if not scheme.symmetric:
            moved = shift + (steps - target / size[:, None, :]).mean(axis=1)
            moved = np.clip(np.rint(moved), scheme.qtype.low, scheme.qtype.high)
            steps = steps + (shift - moved)[:, None, :]
            shift = moved
        square = (steps * steps).sum(axis=1)
        fitted = (steps * target).sum(axis=1) / np.maximum(square, _TINY)
        return np.where((square > 0) & (fitted > 0), fitted, size), shift


class _Best:
    """The best grid of each block so far."""

    def __init__(self, scheme: Scheme, unit: Array) -> None:
        self._loss = np.full(unit.shape, np.inf, np.float32)
        self.scale: Array = np.ones(unit.shape, scheme.scale_dtype)
        self.zero: Array = np.zeros(unit.shape, np.float32)

    def take(self, loss: Array, scale: Array, zero: Array) -> bool:
        """Keeps what is better; returns whether anything is."""
        better = loss < self._loss
        self._loss = np.where(better, loss, self._loss)
        self.scale = np.where(better, scale, self.scale)
        self.zero = np.where(better, zero, self.zero)
        return bool(better.any())
