"""GPTQ: what it refuses, and that products change less than by rounding to nearest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from onnxopt.errors import ModelError
from onnxopt.quantization.blocks import Array, Scheme, round_to_nearest
from onnxopt.quantization.gptq import factorised, gptq
from onnxopt.quantization.hmse import SearchedRange
from onnxopt.quantization.types import qtype

from .support import correlated, gaussian, of_output, with_outliers

SCHEMES = [Scheme(qtype("s4"), 32), Scheme(qtype("u4"), 32, False), Scheme(qtype("s4"), None)]


def gram_of(inputs: Array) -> Array:
    """X^T X."""
    wide = inputs.astype(np.float64)
    return wide.T @ wide


def test_a_gram_matrix_that_is_not_square() -> None:
    with pytest.raises(ModelError, match="must be square"):
        factorised(np.ones((3, 4)))


def test_a_gram_matrix_of_inputs_that_are_not_finite() -> None:
    gram = np.eye(4)
    gram[1, 1] = np.nan
    with pytest.raises(ModelError, match="NaN or infinite"):
        factorised(gram)


def test_a_gram_matrix_of_another_depth() -> None:
    with pytest.raises(ModelError, match="of 8 inputs where it has 256"):
        gptq(gaussian(), SCHEMES[0], factorised(np.eye(8)))


def test_a_weight_that_is_not_finite() -> None:
    weight = gaussian()
    weight[200, 0] = np.inf
    with pytest.raises(ModelError, match="NaN or infinite"):
        gptq(weight, SCHEMES[0], factorised(np.eye(256)))


def test_fewer_samples_than_inputs_and_silent_inputs() -> None:
    inputs = correlated(0, 8)
    inputs[:, 7] = 0
    weight = gaussian()
    stored = gptq(weight, SCHEMES[0], factorised(gram_of(inputs)))
    assert np.isfinite(stored.restored(SCHEMES[0])).all()
    assert not stored.integers[7].any()
    nearest = round_to_nearest(weight, SCHEMES[0])
    error = of_output(weight, stored, SCHEMES[0], inputs)
    assert error < 0.2 * of_output(weight, nearest, SCHEMES[0], inputs)


def test_inputs_without_correlation_change_nothing() -> None:
    weight = gaussian()
    stored = gptq(weight, SCHEMES[0], factorised(np.eye(256)))
    nearest = round_to_nearest(weight, SCHEMES[0])
    np.testing.assert_array_equal(stored.integers, nearest.integers)
    np.testing.assert_array_equal(stored.scale, nearest.scale)


@pytest.mark.parametrize("scheme", SCHEMES, ids=["s4-32", "u4-32", "s4-channel"])
@pytest.mark.parametrize("make", [gaussian, with_outliers])
@pytest.mark.parametrize("by_activity", [False, True])
def test_products_of_fresh_inputs_change_less(
    scheme: Scheme, make: Callable[[], Array], by_activity: bool
) -> None:
    weight = make()
    factor = factorised(gram_of(correlated(0, 2048)), by_activity=by_activity)
    fresh = correlated(1, 512)
    nearest = of_output(weight, round_to_nearest(weight, scheme), scheme, fresh)
    assert of_output(weight, gptq(weight, scheme, factor), scheme, fresh) < 0.6 * nearest
    fitted = gptq(weight, scheme, factor, SearchedRange())
    assert of_output(weight, fitted, scheme, fresh) < 0.6 * nearest


def test_rows_of_a_last_batch_and_block_that_are_shorter() -> None:
    weight, inputs = gaussian(depth=141), correlated(0, 1024, depth=141)
    stored = gptq(weight, SCHEMES[0], factorised(gram_of(inputs)))
    assert stored.scale.shape == (5, 96)
    nearest = of_output(weight, round_to_nearest(weight, SCHEMES[0]), SCHEMES[0], inputs)
    assert of_output(weight, stored, SCHEMES[0], inputs) < 0.6 * nearest
