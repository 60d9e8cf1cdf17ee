"""Grids that are bettered before weights are rounded: half-quadratic, and by search."""

from __future__ import annotations

import numpy as np
import pytest

from onnxopt.quantization.blocks import Array, Scheme, round_to_nearest
from onnxopt.quantization.hmse import SearchedRange
from onnxopt.quantization.hqq import HalfQuadratic
from onnxopt.quantization.types import qtype

from .support import correlated, gaussian, of_output, p_norm, squared, with_outliers

WEIGHTS = [gaussian(3), with_outliers(3)]
SCHEMES = [
    Scheme(qtype("u4"), 32, False),
    Scheme(qtype("u4"), 64, False),
    Scheme(qtype("s4"), 32, True),
    Scheme(qtype("s4"), None, True),
]


def test_zeros_are_left_alone() -> None:
    for fit in (HalfQuadratic(), SearchedRange(np.zeros(32))):
        for scheme in SCHEMES:
            stored = round_to_nearest(np.zeros((32, 2), np.float32), scheme, fit)
            np.testing.assert_array_equal(stored.restored(scheme), np.zeros((32, 2)))


@pytest.mark.parametrize("weight", WEIGHTS, ids=["gaussian", "outliers"])
@pytest.mark.parametrize("scheme", SCHEMES, ids=["u4-32", "u4-64", "s4-32", "s4-channel"])
def test_half_quadratic_has_less_error_in_the_norm_it_minimises(
    weight: Array, scheme: Scheme
) -> None:
    plain = p_norm(weight, round_to_nearest(weight, scheme), scheme)
    assert p_norm(weight, round_to_nearest(weight, scheme, HalfQuadratic()), scheme) < 0.98 * plain


@pytest.mark.parametrize("weight", WEIGHTS, ids=["gaussian", "outliers"])
def test_half_quadratic_has_less_squared_error_by_block(weight: Array) -> None:
    for scheme in SCHEMES[:3]:
        plain = squared(weight, round_to_nearest(weight, scheme), scheme)
        found = round_to_nearest(weight, scheme, HalfQuadratic())
        assert squared(weight, found, scheme) < 0.995 * plain


def test_half_quadratic_gives_what_does_not_depend_on_the_unit() -> None:
    scheme = SCHEMES[0]
    one = round_to_nearest(gaussian(), scheme, HalfQuadratic())
    other = round_to_nearest(gaussian() * np.float32(1024), scheme, HalfQuadratic())
    np.testing.assert_array_equal(one.integers, other.integers)
    np.testing.assert_array_equal(one.zero_point, other.zero_point)


@pytest.mark.parametrize("weight", WEIGHTS, ids=["gaussian", "outliers"])
@pytest.mark.parametrize("scheme", SCHEMES, ids=["u4-32", "u4-64", "s4-32", "s4-channel"])
def test_the_search_has_less_squared_error(weight: Array, scheme: Scheme) -> None:
    plain = squared(weight, round_to_nearest(weight, scheme), scheme)
    assert squared(weight, round_to_nearest(weight, scheme, SearchedRange()), scheme) < 0.98 * plain


def test_rows_that_count_more_get_less_error() -> None:
    weight, scheme = gaussian(1), SCHEMES[2]
    inputs = correlated(0, 512)
    energy = (inputs.astype(np.float64) ** 2).sum(axis=0)
    plain = round_to_nearest(weight, scheme, SearchedRange())
    weighed = round_to_nearest(weight, scheme, SearchedRange(energy))
    fresh = correlated(1, 512)
    assert of_output(weight, weighed, scheme, fresh) < of_output(weight, plain, scheme, fresh)
