"""SmoothQuant: part of what makes activations hard to quantise, moved into the weights that read them.

A few channels of what a transformer's products read are far larger than the rest, and a scale for the whole tensor leaves
the rest few steps. Dividing channel j by s_j = max|X_j|^alpha / max|W_j|^(1 - alpha), and multiplying row j of the weights
by it, changes no result and shares the difficulty out.

Source: Xiao et al., SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language Models, 2022,
equation 4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
GRID = tuple(round(0.05 * i, 2) for i in range(21))
"""The values of alpha that are tried."""
_LEAST, _MOST = 1e-5, 1e5
_BLOCK = 1 << 18
_VARIANCE = 1.0 / 12.0
"""Of rounding, in steps squared."""

Matrix = Callable[[], Array]
"""Gives weights [inputs, outputs] when they are needed, so that one matrix at a time is in memory."""


@dataclass(frozen=True)
class Activation:
    """What is known of the channels of what products read.

    Attributes:
        largest: float64 [inputs]: the largest magnitudes.
        power: float64 [inputs]: the means of squares.
    """

    largest: Array
    power: Array


@dataclass(frozen=True)
class Steps:
    """How many steps the largest magnitude has, once quantised: those of symmetric 8-bit types by default."""

    activation: int = 127
    weight: int = 127


def row_magnitudes(weights: Sequence[Matrix]) -> Array:
    """The largest magnitude in each row of all of some matrices: float64 [inputs]."""
    found: Array | None = None
    for weight in weights:
        matrix = weight()
        rows = np.zeros(matrix.shape[0])
        for block in _blocks(matrix):
            rows[block] = np.abs(matrix[block]).max(axis=1, initial=0.0)
        found = rows if found is None else np.maximum(found, rows)
    assert found is not None
    return found


def smoothing(largest: Array, weight: Array, alpha: float) -> Array:
    """What to divide each channel by: float64 [inputs].

    Args:
        largest: The channel's largest magnitudes, [inputs].
        weight: Those of the rows that read it, [inputs].
        alpha: From 0, which leaves the weights level, to 1, which leaves the activations level.

    Returns:
        1 for channels that are only zeros on either side.
    """
    usable = (largest > 0.0) & (weight > 0.0) & np.isfinite(largest) & np.isfinite(weight)
    x, w = (np.where(usable, values, 1.0).astype(np.float64) for values in (largest, weight))
    return np.where(usable, np.clip(x**alpha / w ** (1.0 - alpha), _LEAST, _MOST), 1.0)


def expected_error(
    activation: Activation, weights: Sequence[Matrix], factors: Sequence[Array], steps: Steps
) -> list[float]:
    """The expected squared error of the results, summed over outputs, for each of some divisions.

    Activations have one scale, weights one for each output. With the noise of rounding a step squared over 12 and
    independent: an activation's noise d^2 / 12 reaches the outputs through the squares of its row, a weight's through the
    mean square of its channel.

    Args:
        activation: Statistics before any division.
        weights: Matrices [inputs, outputs] that read it.
        factors: What the channels are divided by: float64 [inputs] each.
        steps: The types.
    """
    errors = [0.0] * len(factors)
    for weight in weights:
        matrix = weight()
        peaks = [np.zeros(matrix.shape[1]) for _ in factors]
        squares = np.zeros(matrix.shape[0])
        for block in _blocks(matrix):
            part = np.abs(matrix[block]).astype(np.float64)
            squares[block] = np.square(part).sum(axis=1)
            for peak, factor in zip(peaks, factors, strict=True):
                np.maximum(peak, (part * factor[block, None]).max(axis=0, initial=0.0), out=peak)
        for index, factor in enumerate(factors):
            step = (activation.largest / factor).max(initial=0.0) / steps.activation
            through = np.square(factor) @ squares
            rounded = np.square(peaks[index] / steps.weight).sum()
            power = (activation.power / np.square(factor)).sum()
            errors[index] += float(_VARIANCE * (step**2 * through + rounded * power))
    return errors


def best_smoothing(
    activation: Activation, weights: Sequence[Matrix], steps: Steps | None = None
) -> tuple[float | None, Array]:
    """Picks alpha from `GRID` by the least expected error.

    Returns:
        Alpha and what to divide by, float64 [inputs]; None and ones where no division is expected to help.
    """
    rows = row_magnitudes(weights)
    candidates = [np.ones_like(rows), *(smoothing(activation.largest, rows, a) for a in GRID)]
    errors = expected_error(activation, weights, candidates, steps or Steps())
    best = int(np.argmin(errors))
    return (GRID[best - 1] if best else None), candidates[best]


def _blocks(matrix: Array) -> list[slice]:
    step = max(1, _BLOCK // max(1, matrix.shape[1]))
    return [slice(start, start + step) for start in range(0, matrix.shape[0], step)]
