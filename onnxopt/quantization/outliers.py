"""Outliers among the channels of what products read: how large channels get, and what to divide each by.

Where integers share one scale, a channel ten times as large as the rest leaves the rest a tenth of the steps. In
transformers a handful of channels are so, the same ones whatever the input, behind normalisations and activation functions.
Dividing only those costs the weights little, since few of their rows grow; SmoothQuant, which shares out the
difficulty of all channels, costs them more.

Source for outliers that stay in their channels: Dettmers et al., LLM.int8(): 8-bit Matrix Multiplication for Transformers
at Scale, 2022, section 4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
NORMALISED = 2.0
"""How many deviations a channel of a normalised value goes, for comparing it with the others."""
SUMMED = 4.0
"""How many a channel of a product goes: its largest over many rows counts once it went through a function."""
_POINTS = 17
_FARTHEST = 1e5
_BLOCK = 1 << 16


def excess(largest: Array) -> float:
    """How many times as large as the median the largest channel is; 0 where the median says nothing.

    Args:
        largest: float64 [channels]: the channels' largest magnitudes.
    """
    middle = float(np.median(largest)) if largest.size else 0.0
    return float(largest.max()) / middle if middle > 0.0 else 0.0


def taming(largest: Array, threshold: float) -> Array:
    """What to divide each channel by: 1 for all but outliers, float64 [channels].

    Factors aren't rounded to powers of 2, which would make dividing exact: with the sentence encoder MiniLM that costs 0.0003 of
    the mean cosine, and the worst sentence has 0.980 instead of 0.996.

    Args:
        largest: float64 [channels]: the channels' largest magnitudes; their median is positive.
        threshold: How many times the median is left of an outlier.
    """
    times = largest / (threshold * np.median(largest))
    return np.asarray(np.clip(times, 1.0, _FARTHEST))


def along(mean: Array, spread: Array, deviations: float) -> Array:
    """Points through the range of each channel, float64 [points, channels].

    Args:
        mean: float64 [channels].
        spread: Standard deviations, float64 [channels].
        deviations: How many of them to go on either side.
    """
    return mean + np.linspace(-deviations, deviations, _POINTS)[:, np.newaxis] * spread


def reach(points: Array) -> Array:
    """The largest magnitude of each channel, float64 [channels], at points as of ``along``."""
    return np.asarray(np.abs(points).max(axis=0))


def after_product(
    mean: Array, spread: Array, matrix: Callable[[], Array], bias: Array | float
) -> tuple[Array, Array]:
    """Mean and deviation of the results of a product whose operands' channels are independent of one another.

    Args:
        mean: float64 [inputs].
        spread: Standard deviations, float64 [inputs].
        matrix: Gives the weights [inputs, outputs].
        bias: What is added: [outputs], or a number.

    Returns:
        float64 [outputs] each.
    """
    weights = matrix()
    total, squares = np.zeros((2, weights.shape[1]))
    step = max(1, _BLOCK // max(weights.shape[1], 1))
    for start in range(0, len(weights), step):
        rows = slice(start, start + step)
        block = weights[rows].astype(np.float64)
        total += mean[rows] @ block
        squares += np.square(spread[rows]) @ np.square(block)
    return total + bias, np.sqrt(squares)
