"""What storing loses: by histograms and exactly, beside what is computed from the values themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest

from onnxopt.quantization import loss
from onnxopt.quantization.affine import Affine, from_range
from onnxopt.quantization.histogram import Histogram
from onnxopt.quantization.types import qtype

U8, S8 = qtype("u8"), qtype("s8")


def seen(values: np.ndarray) -> Histogram:
    histogram = Histogram()
    histogram.update(values)
    return histogram


def noise(values: np.ndarray, affine: Affine) -> float:
    """Noise over signal power, directly."""
    error = affine.restored(affine.quantised(values)) - values.astype(np.float64)
    return float((error**2).sum() / (values.astype(np.float64) ** 2).sum())


def test_of_nothing_and_of_zeros_there_is_no_ratio() -> None:
    affine = from_range(0.0, 1.0, U8, symmetric=False)
    for values in (np.zeros(0, np.float32), np.zeros(9, np.float32)):
        bins = seen(values).bins
        assert loss.power(bins) == 0.0
        assert loss.noise_of_bins(bins, affine) is None
        assert loss.clipped(bins, affine) == 0.0
    assert loss.noise_of_weights(np.zeros((2, 2), np.float32), affine) is None
    assert loss.noise_of_steps(affine, 0.0) is None
    assert loss.decibels(None) is None
    assert loss.decibels(0.0) == math.inf
    assert loss.decibels(0.01) == pytest.approx(20.0)


def test_power_and_noise_are_those_of_the_values() -> None:
    values = np.maximum(np.random.default_rng(1).normal(size=40_000), 0).astype(np.float32)
    bins = seen(values).bins
    affine = from_range(0.0, 3.0, U8, symmetric=False)
    assert loss.power(bins) == pytest.approx(
        float((values.astype(np.float64) ** 2).mean()), rel=1e-4
    )
    assert loss.noise_of_bins(bins, affine) == pytest.approx(noise(values, affine), rel=0.02)


@pytest.mark.parametrize(("low", "high"), [(-1.0, 2.0), (-3.0, 1.5), (0.0, 1.0)])
def test_clipped_is_the_share_beyond_half_a_step(low: float, high: float) -> None:
    values = np.random.default_rng(2).normal(size=50_000).astype(np.float32)
    affine = from_range(low, high, U8, symmetric=False)
    least, most = (float(bound) for bound in affine.bounds)
    half = float(affine.scale) / 2
    beyond = float(((values < least - half) | (values > most + half)).mean())
    assert beyond > 0.02
    assert loss.clipped(seen(values).bins, affine) == pytest.approx(beyond, abs=3e-4)


def test_nothing_is_clipped_by_the_range_of_the_values() -> None:
    values = np.random.default_rng(3).normal(size=5_000).astype(np.float32)
    affine = from_range(float(values.min()), float(values.max()), U8, symmetric=False)
    assert loss.clipped(seen(values).bins, affine) == 0.0


def test_exact_zeros_are_below_a_positive_place_only() -> None:
    values = np.concatenate([np.zeros(600), np.linspace(0.5, 1.5, 400)]).astype(np.float32)
    affine = from_range(0.0, 1.0, U8, symmetric=False)
    assert loss.clipped(seen(values).bins, affine) == pytest.approx(0.2, abs=0.002)


@pytest.mark.parametrize("axis", [0, 1, None])
def test_weights_are_exact_in_any_blocks(axis: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    weight = np.random.default_rng(4).normal(size=(6, 10, 3)).astype(np.float32)
    others = tuple(i for i in range(3) if i != axis)
    span = np.abs(weight).max(axis=others) if axis is not None else np.abs(weight).max()
    affine = from_range(-span, span, S8, symmetric=True, axis=axis)
    assert loss.noise_of_weights(weight, affine) == pytest.approx(noise(weight, affine))
    monkeypatch.setattr(loss, "_BLOCK", 40)
    assert loss.noise_of_weights(weight, affine) == pytest.approx(noise(weight, affine))


def test_steps_give_about_what_is_measured() -> None:
    values = np.random.default_rng(5).uniform(-1, 1, 50_000).astype(np.float32)
    affine = from_range(-1.0, 1.0, U8, symmetric=False)
    signal = float((values.astype(np.float64) ** 2).mean())
    assert loss.noise_of_steps(affine, signal) == pytest.approx(noise(values, affine), rel=0.02)
