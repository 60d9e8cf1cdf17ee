"""Ranges of weights: what is refused, extremes, and what clipping may not make worse."""

from __future__ import annotations

import numpy as np
import pytest

from onnxopt.errors import UsageError
from onnxopt.quantization.clipping import squared_error, stored_weight, weight_affine
from onnxopt.quantization.types import qtype

rng = np.random.default_rng(5)


def test_a_method_that_does_not_exist() -> None:
    with pytest.raises(UsageError, match="no method 'entropy' for weights; choose minmax or mse"):
        weight_affine(
            np.zeros((2, 2)), qtype("s8"), symmetric=True, channels=True, method="entropy"
        )


@pytest.mark.parametrize("method", ["minmax", "mse"])
@pytest.mark.parametrize("channels", [False, True])
def test_zeros(method: str, channels: bool) -> None:
    weight = np.zeros((5, 3), np.float32)
    affine = weight_affine(weight, qtype("s8"), symmetric=True, channels=channels, method=method)
    assert not stored_weight(weight, affine).any()
    assert (affine.scale == 1.0).all()


def test_extremes_are_kept() -> None:
    weight = np.array([[1.0, -4.0], [-0.5, 2.0]], np.float32)
    affine = weight_affine(weight, qtype("s8"), symmetric=True, channels=True)
    np.testing.assert_allclose(affine.scale, [1 / 127, 4 / 127], rtol=1e-7)
    np.testing.assert_array_equal(stored_weight(weight, affine), [[127, -127], [-64, 64]])
    affine = weight_affine(weight, qtype("u8"), symmetric=False, channels=False)
    np.testing.assert_allclose(affine.scale, 6 / 255, rtol=1e-7)
    assert affine.zero_point == 170


@pytest.mark.parametrize("name", ["s8", "u8", "s4"])
@pytest.mark.parametrize("channels", [False, True])
def test_clipping_never_adds_to_the_error(name: str, channels: bool) -> None:
    weight = (rng.normal(size=(4000, 6)) * [1, 2, 3, 4, 5, 6]).astype(np.float32)
    stored = qtype(name)
    plain, clipped = (
        weight_affine(weight, stored, symmetric=stored.signed, channels=channels, method=method)
        for method in ("minmax", "mse")
    )
    before, after = squared_error(weight, plain), squared_error(weight, clipped)
    assert before.shape == ((6,) if channels else ())
    assert (after <= before).all()
    assert stored.bits == 8 or after.sum() < 0.8 * before.sum()
    assert (clipped.scale >= 0.699 * plain.scale).all()


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = rng.normal(size=(100, 7)).astype(np.float32)
    affine = weight_affine(weight, qtype("s8"), symmetric=True, channels=True)
    whole, error = stored_weight(weight, affine), squared_error(weight, affine)
    monkeypatch.setattr("onnxopt.quantization.clipping._BLOCK_ELEMENTS", 30)
    np.testing.assert_array_equal(stored_weight(weight, affine), whole)
    np.testing.assert_allclose(squared_error(weight, affine), error, rtol=1e-12)
    exact = np.square(affine.restored(whole).astype(np.float64) - weight).sum(axis=0)
    np.testing.assert_allclose(error, exact, rtol=1e-4)
