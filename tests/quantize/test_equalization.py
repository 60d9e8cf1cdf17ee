"""Factors between layers, against their definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxopt.quantization import equalization
from onnxopt.quantization.equalization import LayerWeights, equalised, magnitudes, rescaled

Array = np.ndarray[Any, Any]


def dense(rng: np.random.Generator, outputs: int, inputs: int, groups: int = 1) -> LayerWeights:
    shape = (groups, outputs // groups, inputs // groups)
    return LayerWeights(rng.normal(size=shape).astype(np.float32))


def test_a_channel_of_zeros_is_left_alone(rng: np.random.Generator) -> None:
    first, second = dense(rng, 4, 3), dense(rng, 5, 4)
    first.table[0, 1] = 0.0
    second.table[0, :, 2] = 0.0
    [factor] = equalised([first, second])
    assert factor[1] == factor[2] == 1.0
    assert (factor[[0, 3]] != 1.0).all()


def test_weights_that_are_not_finite_are_left_alone(rng: np.random.Generator) -> None:
    first, second = dense(rng, 3, 3), dense(rng, 3, 3)
    first.table[0, 0, 0], second.table[0, 0, 1] = np.nan, np.inf
    [factor] = equalised([first, second])
    assert factor[0] == factor[1] == 1.0
    assert np.isfinite(factor).all()


def test_no_factor_is_beyond_the_limit() -> None:
    first = LayerWeights(np.full((1, 1, 1), 1e-20, np.float32))
    second = LayerWeights(np.full((1, 1, 1), 1e20, np.float32))
    [factor] = equalised([first, second])
    assert factor[0] == pytest.approx(1e4)


def test_two_layers_meet_at_the_geometric_mean(rng: np.random.Generator) -> None:
    first, second = dense(rng, 6, 3), dense(rng, 5, 6)
    r1, r2 = first.by_output(None), second.by_input(None)
    [factor] = equalised([first, second])
    np.testing.assert_allclose(factor, np.sqrt(r2 / r1))
    np.testing.assert_allclose(r1 * factor, r2 / factor)


def test_a_depthwise_convolution_makes_it_a_cube_root(rng: np.random.Generator) -> None:
    first, middle, last = dense(rng, 6, 3), dense(rng, 6, 6, groups=6), dense(rng, 4, 6)
    r1, r2, r3 = (
        first.by_output(None),
        np.abs(middle.table).reshape(-1).astype(np.float64),
        last.by_input(None),
    )
    a, b = equalised([first, middle, last])
    target = np.cbrt(r1 * r2 * r3)
    np.testing.assert_allclose(r1 * a, target)
    np.testing.assert_allclose(r2 * b / a, target)
    np.testing.assert_allclose(r3 / b, target)


def test_a_chain_settles_where_both_sides_agree(rng: np.random.Generator) -> None:
    layers = [dense(rng, 8, 3), dense(rng, 8, 8), dense(rng, 8, 8, groups=2), dense(rng, 4, 8)]
    for layer in layers:
        layer.table[...] *= 10.0 ** rng.uniform(-1, 1, layer.table.shape[:2])[..., None]
    factors = equalised(layers)
    for index in range(3):
        before = factors[index - 1] if index else None
        after = factors[index + 1] if index < 2 else None
        mine = layers[index].by_output(before) * factors[index]
        theirs = layers[index + 1].by_input(after) / factors[index]
        np.testing.assert_allclose(mine, theirs, rtol=5e-3)


@pytest.mark.parametrize("block", [1, 7, 1 << 18])
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_ranges_are_those_of_the_scaled_weights(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator, groups: int, block: int
) -> None:
    monkeypatch.setattr(equalization, "_BLOCK", block)
    weight = rng.normal(size=(12, 6 // groups, 3, 2)).astype(np.float32)
    after, before = np.exp(rng.normal(size=12)), np.exp(rng.normal(size=6))
    layer = LayerWeights(magnitudes(weight, groups))
    scaled = rescaled(weight, groups, after, before)
    wide = np.zeros((12, 6))
    each, inner = 12 // groups, 6 // groups
    for g in range(groups):
        rows, columns = slice(g * each, (g + 1) * each), slice(g * inner, (g + 1) * inner)
        wide[rows, columns] = np.abs(scaled[rows]).max(axis=(2, 3))
    np.testing.assert_allclose(layer.by_output(before) * after, wide.max(axis=1), rtol=1e-6)
    np.testing.assert_allclose(layer.by_input(after) / before, wide.max(axis=0), rtol=1e-6)


def test_features_of_a_channel_share_its_factor(rng: np.random.Generator) -> None:
    table = rng.normal(size=(1, 5, 12)).astype(np.float32)
    layer = LayerWeights(table, spread=4)
    assert layer.inputs == 3
    expected = np.abs(table).reshape(5, 3, 4).max(axis=(0, 2))
    np.testing.assert_allclose(layer.by_input(None), expected, rtol=1e-6)
    before = np.array([1.0, 2.0, 4.0])
    np.testing.assert_allclose(
        layer.by_output(before), np.abs(table[0] / np.repeat(before, 4)).max(axis=1), rtol=1e-6
    )


def test_a_matrix_is_not_copied(rng: np.random.Generator) -> None:
    weight = rng.normal(size=(4, 3, 1, 1)).astype(np.float32)
    assert np.shares_memory(magnitudes(weight, 1), weight)


def test_scaling_leaves_other_sides_as_they_are(rng: np.random.Generator) -> None:
    weight = rng.normal(size=(4, 3)).astype(np.float32)
    np.testing.assert_array_equal(rescaled(weight, 1, None, None), weight)
    np.testing.assert_array_equal(rescaled(weight, 1, np.full(4, 2.0), np.full(3, 2.0)), weight)
