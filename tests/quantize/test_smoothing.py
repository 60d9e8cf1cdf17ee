"""SmoothQuant's factors, and the error that is expected of them against the error that occurs."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from onnxopt.quantization import smoothing as module
from onnxopt.quantization.affine import from_range
from onnxopt.quantization.smoothing import (
    Activation,
    Steps,
    best_smoothing,
    expected_error,
    row_magnitudes,
    smoothing,
)
from onnxopt.quantization.types import qtype

Array = np.ndarray[Any, Any]


def outliers(rng: np.random.Generator) -> tuple[Array, list[Array]]:
    x = rng.normal(size=(512, 32))
    x[:, [3, 17]] *= 50.0
    return x.astype(np.float32), [rng.normal(size=(32, n)).astype(np.float32) for n in (24, 8)]


def activation(x: Array) -> Activation:
    return Activation(
        np.abs(x).max(axis=0).astype(np.float64), np.square(x, dtype=np.float64).mean(0)
    )


def measured(x: Array, weights: list[Array], factor: Array) -> float:
    """The squared error of the results, summed over outputs, with real rounding."""
    smooth = (x / factor).astype(np.float32)
    limit = np.abs(smooth).max()
    a = from_range(-limit, limit, qtype("s8"), symmetric=True)
    total = 0.0
    for weight in weights:
        scaled = (weight * factor[:, None]).astype(np.float32)
        w = from_range(scaled.min(axis=0), scaled.max(axis=0), qtype("s8"), symmetric=True, axis=1)
        got = a.restored(a.quantised(smooth)).astype(np.float64) @ w.restored(w.quantised(scaled))
        total += float(np.square(got - x.astype(np.float64) @ weight).mean(axis=0).sum())
    return total


def test_channels_of_zeros_are_left_alone() -> None:
    factor = smoothing(np.array([0.0, 1.0, 4.0]), np.array([1.0, 0.0, 1.0]), 0.5)
    np.testing.assert_array_equal(factor, [1.0, 1.0, 2.0])


def test_nothing_is_smoothed_where_that_would_not_help(rng: np.random.Generator) -> None:
    x = np.sign(rng.normal(size=(64, 8))).astype(np.float32)
    weight = np.sign(rng.normal(size=(8, 8))).astype(np.float32)
    alpha, factor = best_smoothing(activation(x), [lambda: weight])
    assert alpha is None
    np.testing.assert_array_equal(factor, np.ones(8))


def test_alpha_shares_the_difficulty_out() -> None:
    x, w = np.array([16.0, 2.0]), np.array([1.0, 8.0])
    np.testing.assert_allclose(x / smoothing(x, w, 1.0), 1.0)
    np.testing.assert_allclose(w * smoothing(x, w, 0.0), 1.0)
    np.testing.assert_allclose(x / smoothing(x, w, 0.5), w * smoothing(x, w, 0.5))


@pytest.mark.parametrize("block", [1, 100, 1 << 18])
def test_the_largest_row_counts(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator, block: int
) -> None:
    monkeypatch.setattr(module, "_BLOCK", block)
    a, b = rng.normal(size=(6, 4)), rng.normal(size=(6, 9))
    found = row_magnitudes([lambda: a, lambda: b])
    np.testing.assert_allclose(found, np.abs(np.concatenate([a, b], axis=1)).max(axis=1))


@pytest.mark.parametrize("alpha", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_the_expected_error_is_the_one_that_occurs(rng: np.random.Generator, alpha: float) -> None:
    x, weights = outliers(rng)
    known = activation(x)
    read = [functools.partial(np.asarray, w) for w in weights]
    factor = smoothing(known.largest, row_magnitudes(read), alpha)
    [expected] = expected_error(known, read, [factor], Steps())
    assert expected == pytest.approx(measured(x, weights, factor), rel=0.25)


def test_the_best_alpha_is_near_the_best_there_is(rng: np.random.Generator) -> None:
    x, weights = outliers(rng)
    matrices = [lambda w=w: w for w in weights]
    alpha, factor = best_smoothing(activation(x), matrices)
    rows = row_magnitudes(matrices)
    errors = {
        a: measured(x, weights, smoothing(activation(x).largest, rows, a)) for a in module.GRID
    }
    assert alpha is not None
    assert measured(x, weights, factor) <= 1.2 * min(errors.values())
    assert measured(x, weights, factor) < 0.1 * measured(x, weights, np.ones(32))
