"""A grid search for the scale: the range is narrowed as far as that lessens the error.

Each row k of a weight may count by how much its input varies, the diagonal of the Gram matrix X^T X: the diagonal of
the Hessian of the product's squared error. Without data all rows count alike, and it is the weights' own
mean squared error that is minimised.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .blocks import Array, Scheme, grid, limits, nearest, split


@dataclass(frozen=True)
class SearchedRange:
    """Betters scales and zero points; a ``Fit`` of ``blocks.round_to_nearest``.

    Attributes:
        importance: [K], how much an error in each row counts; None where all count alike.
        least: The narrowest range that is tried, as a share of the whole.
        candidates: How many ranges are tried.
    """

    importance: Array | None = None
    least: float = 0.5
    candidates: int = 24

    def __call__(
        self, blocks: Array, scheme: Scheme, scale: Array, zero: Array
    ) -> tuple[Array, Array]:
        """Returns the best grid of those tried for each block.

        Args:
            blocks: [B, R, N], float32.
            scheme: How they are stored.
            scale: [B, N], of the whole range.
            zero: [B, N], whole numbers.
        """
        counts = self._counts(scheme, blocks)
        low, high = limits(blocks)
        loss = self._loss(blocks, scheme, scale, zero, counts)
        for share in np.linspace(1.0, self.least, self.candidates)[1:]:
            tried = grid(low * np.float32(share), high * np.float32(share), scheme)
            found = self._loss(blocks, scheme, *tried, counts)
            better = found < loss
            loss = np.where(better, found, loss)
            scale, zero = np.where(better, tried[0], scale), np.where(better, tried[1], zero)
        return scale, zero

    def _counts(self, scheme: Scheme, blocks: Array) -> Array | None:
        """How much each row counts, [B, R, 1]."""
        if self.importance is None:
            return None
        column = np.asarray(self.importance, np.float32).reshape(-1, 1)
        counts = split(column / max(float(column.max()), 1e-30), scheme)
        return counts.reshape(blocks.shape[0], blocks.shape[1], 1)

    @staticmethod
    def _loss(
        blocks: Array, scheme: Scheme, scale: Array, zero: Array, counts: Array | None
    ) -> Array:
        size, shift = scale.astype(np.float32), zero.astype(np.float32)
        steps = nearest(blocks, scheme.qtype, size, shift)
        steps -= shift[:, None, :]
        steps *= size[:, None, :]
        steps -= blocks
        steps *= steps
        if counts is not None:
            steps *= counts
        loss: Array = steps.sum(axis=1)
        return loss
