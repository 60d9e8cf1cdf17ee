"""What the tests of weight rounding share: weights, correlated inputs, measures of error."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxopt.quantization.blocks import Blocked, Scheme

Array = np.ndarray[Any, Any]


def gaussian(seed: int = 0, depth: int = 256, width: int = 96) -> Array:
    """Weights as initialisation leaves them."""
    return (np.random.default_rng(seed).standard_normal((depth, width)) * 0.02).astype(np.float32)


def with_outliers(seed: int = 0, depth: int = 256, width: int = 96) -> Array:
    """The same, of which one in two hundred is twelve times as large."""
    weight = gaussian(seed, depth, width)
    weight[np.random.default_rng(seed + 1).random(weight.shape) < 0.005] *= 12
    return weight


def correlated(seed: int, samples: int, depth: int = 256) -> Array:
    """Inputs of a product that are of few directions and of unequal size, as those of a network are."""
    shape = np.random.default_rng(99)
    mixing = shape.standard_normal((32, depth)) * np.exp(shape.standard_normal(depth) * 0.5)
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((samples, 32)) @ mixing + 0.5 * rng.standard_normal(
        (samples, depth)
    )
    return inputs.astype(np.float32)


def squared(weight: Array, stored: Blocked, scheme: Scheme) -> float:
    """Mean squared error of a stored weight."""
    return float(np.mean((stored.restored(scheme) - weight) ** 2))


def p_norm(weight: Array, stored: Blocked, scheme: Scheme, p: float = 0.7) -> float:
    """Mean of the p-th power of the errors."""
    return float(np.mean(np.abs(stored.restored(scheme) - weight) ** p))


def of_output(weight: Array, stored: Blocked, scheme: Scheme, inputs: Array) -> float:
    """Error of a product, relative to its size."""
    error = inputs @ (stored.restored(scheme) - weight)
    return float(np.linalg.norm(error) / np.linalg.norm(inputs @ weight))
