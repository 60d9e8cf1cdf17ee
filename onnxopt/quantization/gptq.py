"""GPTQ: rounds row by row, and lets the rows that follow make up for each row's error.

Frantar, Ashkboos, Hoefler and Alistarh, "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
Transformers" (2022). The squared error of x @ w has the Hessian H = X^T X for every column of w. With U the upper
Cholesky factor of the inverse of H, an error e in row k is best made up for by taking e / U[k,k] * U[k,j] off
each later row j. Rows are dealt with in batches, so that most of the work is a matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ModelError
from .blocks import Array, Blocked, Fit, Scheme, grid, limits, on_grid, split

_BATCH = 128
_ATTEMPTS = 6


@dataclass(frozen=True)
class Factor:
    """What GPTQ needs of a product's inputs.

    Attributes:
        upper: [K, K] float32, the upper Cholesky factor of the inverse of the dampened Gram matrix, in ``order``.
        order: [K], in which order rows are rounded.
        silent: [K] bool: rows whose input is always 0, so that their weights do not matter.
    """

    upper: Array
    order: Array
    silent: Array


def factorised(gram: Array, *, damping: float = 0.01, by_activity: bool = False) -> Factor:
    """Prepares a Gram matrix, once for all weights that read the same input.

    Args:
        gram: X^T X, [K, K], float64, over all samples.
        damping: What is added to the diagonal, as a share of its mean; ten times as much each time that the
            matrix proves not to be positive definite.
        by_activity: Whether rows of the largest inputs are rounded first (``act order``), rather than in turn.

    Raises:
        ModelError: The matrix is not square, or not that of finite inputs.
    """
    gram = np.array(gram, np.float64)
    if gram.ndim != 2 or gram.shape[0] != gram.shape[1]:
        raise ModelError(f"a Gram matrix must be square, this one is {list(gram.shape)}")
    if not np.isfinite(gram).all():
        raise ModelError("the calibration data leads to NaN or infinite values; check it")
    diagonal = np.diagonal(gram).copy()
    silent = diagonal <= 0
    gram[silent, silent] = 1.0
    order = np.argsort(-diagonal, kind="stable") if by_activity else np.arange(len(gram))
    gram = gram[np.ix_(order, order)]
    mean = float(np.diagonal(gram).mean())
    for attempt in range(_ATTEMPTS):
        dampened = gram.copy()
        dampened[np.diag_indices_from(dampened)] += damping * 10.0**attempt * mean
        try:
            inverse = np.linalg.inv(np.linalg.cholesky(dampened))
            upper = np.linalg.cholesky(inverse.T @ inverse).T
        except np.linalg.LinAlgError:
            continue
        return Factor(upper.astype(np.float32), order, silent)
    raise ModelError("the Gram matrix of the calibration data has no Cholesky factor")


def gptq(weight: Array, scheme: Scheme, factor: Factor, fit: Fit | None = None) -> Blocked:
    """Rounds a weight so that its product with the calibration inputs changes least.

    The grid of a block is made when its first row is reached, of weights as corrected by then; where rows
    are not rounded in turn, of the weights as given.

    Args:
        weight: [K, N], float32; not changed.
        scheme: How it is stored; not with one scale for the tensor.
        factor: Of the Gram matrix of its input.
        fit: Betters the grid of each block before its rows are rounded.

    Raises:
        ModelError: The weight holds NaN or infinite values, or its depth is not that of the factor.
    """
    depth = weight.shape[0]
    if depth != len(factor.order):
        raise ModelError(f"its Gram matrix is of {len(factor.order)} inputs where it has {depth}")
    weight = np.array(weight, np.float32)
    weight[factor.silent] = 0.0
    limits(split(weight, scheme))
    in_turn = bool((factor.order == np.arange(depth)).all())
    grids = _Grids(weight, scheme, fit, fixed=not in_turn)
    left = weight[factor.order]
    for start in range(0, depth, _BATCH):
        end = min(start + _BATCH, depth)
        errors = _batch(left, start, end, factor, grids)
        left[end:] -= factor.upper[start:end, end:].T @ errors
    restored = np.empty_like(left)
    restored[factor.order] = left
    return on_grid(restored, scheme, grids.scale, grids.zero)


def _batch(left: Array, start: int, end: int, factor: Factor, grids: _Grids) -> Array:
    """Rounds rows in place, correcting those of the same batch; returns the scaled errors [end - start, N]."""
    errors = np.empty((end - start, left.shape[1]), np.float32)
    for row in range(start, end):
        place = int(factor.order[row])
        grids.reach(place, left)
        stored = grids.rounded(place, left[row])
        error = (left[row] - stored) / factor.upper[row, row]
        left[row] = stored
        left[row + 1 : end] -= np.outer(factor.upper[row, row + 1 : end], error)
        errors[row - start] = error
    return errors


class _Grids:
    """The scales and zero points of a weight's blocks, made as rounding gets to them."""

    def __init__(self, weight: Array, scheme: Scheme, fit: Fit | None, *, fixed: bool) -> None:
        depth, width = weight.shape
        self._scheme, self._fit, self._fixed = scheme, fit, fixed
        self._rows = scheme.rows(depth)
        self.scale = np.ones((scheme.count(depth), width), scheme.scale_dtype)
        self.zero = np.zeros((scheme.count(depth), width), np.float32)
        if fixed:
            self.scale, self.zero = self._made(split(weight, scheme))

    def reach(self, row: int, weight: Array) -> None:
        """Makes the grid of the block that begins at a row, if one does."""
        if self._fixed or row % self._rows:
            return
        block = weight[row : row + self._rows][None]
        at = row // self._rows
        scale, zero = self._made(block)
        self.scale[at], self.zero[at] = scale[0], zero[0]

    def rounded(self, row: int, values: Array) -> Array:
        """What is read back of a row's values [N]."""
        qtype = self._scheme.qtype
        scale = self.scale[row // self._rows].astype(np.float32)
        zero = self.zero[row // self._rows]
        steps = np.clip(qtype.rounded(values / scale) + zero, qtype.low, qtype.high)
        restored: Array = (steps - zero) * scale
        return restored

    def _made(self, blocks: Array) -> tuple[Array, Array]:
        scale, zero = grid(*limits(blocks), self._scheme)
        return (scale, zero) if self._fit is None else self._fit(blocks, self._scheme, scale, zero)
