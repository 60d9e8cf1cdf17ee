"""The mean error of rounded weights, against what a layer's results are off by."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxopt.quantization import correction
from onnxopt.quantization.affine import Affine, from_range
from onnxopt.quantization.correction import corrected, mean_error_of_conv, mean_error_of_product
from onnxopt.quantization.types import qtype

Array = np.ndarray[Any, Any]


def stored(weight: Array, axis: int | None) -> Affine:
    others = None if axis is None else tuple(i for i in range(weight.ndim) if i != axis)
    low, high = weight.min(axis=others), weight.max(axis=others)
    return from_range(low, high, qtype("s4"), symmetric=True, axis=axis)


def test_an_error_that_is_not_finite_is_left() -> None:
    fixed = corrected(np.array([1.0, 2.0]), np.array([np.nan, 0.5]))
    np.testing.assert_array_equal(fixed, [1.0, 1.5])
    assert fixed.dtype == np.float32


@pytest.mark.parametrize("block", [1, 1 << 18])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_a_product(
    monkeypatch: pytest.MonkeyPatch,
    rng: np.random.Generator,
    axis: int | None,
    transposed: bool,
    block: int,
) -> None:
    monkeypatch.setattr(correction, "_BLOCK", block)
    weight = rng.normal(size=(5, 7)).astype(np.float32)
    x = rng.uniform(0.0, 2.0, size=(100, 7 if transposed else 5))
    affine = stored(weight, axis)
    error = affine.restored(affine.quantised(weight)).astype(np.float64) - weight
    expected = (x @ (error.T if transposed else error)).mean(axis=0)
    found = mean_error_of_product(weight, affine, x.mean(axis=0), transposed=transposed)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_a_convolution(rng: np.random.Generator, groups: int) -> None:
    weight = rng.normal(size=(8, 4 // groups, 3)).astype(np.float32)
    x = rng.uniform(0.0, 2.0, size=(4, 50))
    affine = stored(weight, 0)
    error = affine.restored(affine.quantised(weight)).astype(np.float64) - weight
    expected = np.zeros(8)
    for o in range(8):
        for j in range(4 // groups):
            channel = o // (8 // groups) * (4 // groups) + j
            expected[o] += error[o, j].sum() * x[channel].mean()
    found = mean_error_of_conv(weight, affine, x.mean(axis=1))
    np.testing.assert_allclose(found, expected, atol=1e-12)
