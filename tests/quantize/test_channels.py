"""Statistics of channels, and the exact sums beneath them."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxopt.quantization.channels import ChannelStatistics
from onnxopt.quantization.exact import ExactSum

# Sums of squares of float32 reach from 2**-298 to beyond 2**256.
VALUES = st.one_of(
    st.floats(-1e90, 1e90).filter(lambda x: x == 0 or abs(x) > 2.0**-245),
    st.sampled_from([0.0, 2.0**-298, -(2.0**-298), 2.0**300, 1.0, -1.0, 1e16, 2.0**32, -(2.0**31)]),
)
PAIRS = st.lists(st.tuples(VALUES, VALUES), max_size=12)


def summed(pairs: list[tuple[float, float]]) -> ExactSum:
    result = ExactSum(2)
    for pair in pairs:
        result.add(np.array(pair))
    return result


@settings(max_examples=300, deadline=None)
@given(PAIRS, st.integers(0, 12))
def test_sums_are_exact_in_any_order(pairs: list[tuple[float, float]], cut: int) -> None:
    whole = summed(pairs)
    exact = [float(sum((Fraction(p[c]) for p in pairs), Fraction(0))) for c in (0, 1)]
    assert whole.values.tolist() == exact
    merged = summed(pairs[cut:][::-1])
    merged.merge(summed(pairs[:cut]))
    assert merged.to_json() == whole.to_json()
    assert merged.values.tolist() == exact
    back = ExactSum.from_json(json.loads(json.dumps(whole.to_json())), 2)
    back.add(np.array([1.0, -1.0]))
    assert back.to_json() == summed([*pairs, (1.0, -1.0)]).to_json()


def test_the_axis_must_exist_and_the_channels_stay() -> None:
    c = ChannelStatistics(1)
    with pytest.raises(ValueError, match=r"shape \[4\], without an axis 1"):
        c.check((4,))
    c.update(np.ones((2, 3, 4), np.float32))
    with pytest.raises(ValueError, match="has 5 channels on axis 1, and had 3 before"):
        c.check((2, 5, 4))


@pytest.mark.parametrize("axis", [1, -1, 0])
def test_figures_are_those_of_numpy(axis: int) -> None:
    rng = np.random.default_rng(0)
    samples = [rng.normal(size=(6, 6, n, 6)).astype(np.float32) * 3 - 1 for n in (5, 1, 9)]
    c = ChannelStatistics(axis)
    for sample in samples:
        c.update(sample)
    values = np.concatenate(
        [np.moveaxis(s.astype(np.float64), axis, -1).reshape(-1, 6) for s in samples]
    )
    assert c.largest is not None
    assert np.array_equal(c.largest, np.abs(values).max(axis=0))
    np.testing.assert_allclose(c.sum, values.sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(c.squares, np.square(values).sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(c.mean, values.mean(axis=0), rtol=1e-12)
    assert c.count == len(values)


def test_an_exact_sum_stays_small() -> None:
    c = ChannelStatistics(1)
    rng = np.random.default_rng(1)
    for _ in range(50):
        c.update(rng.normal(size=(1, 64, 10)).astype(np.float32))
    assert c._sum._digits.shape[0] <= 8
    assert len(json.dumps(c.to_json())) < 4000


def test_damaged_files_are_refused() -> None:
    c = ChannelStatistics(1)
    c.update(np.ones((2, 3), np.float32))
    good = c.to_json()
    for change in ({"count": 0}, {"channels": -1}, {"sum": good["sum"] | {"place": 10**9}}):
        with pytest.raises(ValueError, match="impossible"):
            ChannelStatistics.from_json(good | change)
