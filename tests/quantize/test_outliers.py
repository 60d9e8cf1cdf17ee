"""How large channels are taken to be, and what they are divided by."""

from __future__ import annotations

import numpy as np

from onnxopt.quantization.outliers import after_product, along, excess, reach, taming


def test_nothing_stands_out_where_the_median_says_nothing() -> None:
    assert excess(np.zeros(0)) == 0.0
    assert excess(np.array([0.0, 0.0, 0.0, 5.0])) == 0.0


def test_excess_is_over_the_median() -> None:
    assert excess(np.array([1.0, 2.0, 2.0, 30.0, 1.5])) == 15.0


def test_outliers_are_left_at_the_threshold_and_the_rest_as_it_is() -> None:
    largest = np.array([1.0, 0.0, 2.0, 2.9, 40.0, 2.0, 7.0])
    factor = taming(largest, 1.5)
    np.testing.assert_allclose(factor, [1, 1, 1, 1, 40 / 3, 1, 7 / 3])
    assert (largest / factor).max() == 3.0


def test_factors_stay_finite() -> None:
    assert taming(np.array([1e-300, 1e-300, 1.0]), 1.0).max() == 1e5


def test_points_reach_as_far_as_deviations_go() -> None:
    points = along(np.array([0.5, -1.0, 0.0]), np.array([1.0, 2.0, 0.0]), 2.0)
    np.testing.assert_allclose(reach(points), [2.5, 5.0, 0.0])


def test_a_product_has_the_mean_and_deviation_of_samples() -> None:
    rng = np.random.default_rng(0)
    mean, spread = rng.normal(size=20), rng.uniform(0.1, 3.0, 20)
    weights, bias = rng.normal(size=(20, 6)), rng.normal(size=6)
    rows = (mean + spread * rng.normal(size=(200_000, 20))) @ weights + bias
    found = after_product(mean, spread, lambda: weights, bias)
    np.testing.assert_allclose(found[0], rows.mean(0), atol=0.15)
    np.testing.assert_allclose(found[1], rows.std(0), rtol=0.02)
