"""Histograms: what they refuse, exact bins, and that neither order nor merging matters."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from onnxopt.quantization.floats import as_float32
from onnxopt.quantization.histogram import BINS, Histogram, exponent_of

FLOATS = st.one_of(
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.floats(-8, 8, width=32),
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e-45, -1e-45, 4096.0, -4096.0, 3.4e38, -3.4e38]),
)
PARTS = st.lists(st.lists(FLOATS, max_size=20), min_size=1, max_size=6)


def histogram(*parts: Sequence[float] | np.ndarray) -> Histogram:
    result = Histogram()
    for part in parts:
        result.update(np.asarray(part, np.float32))
    return result


def state(h: Histogram) -> tuple[object, ...]:
    return h.low, h.high, h.zeros, h.exponent, h.first, h.counts.tolist()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_refused_and_nothing_is_counted(bad: float) -> None:
    h = histogram([1.0, 2.0])
    before = state(h)
    with pytest.raises(ValueError, match=r"NaN|infinite"):
        h.update(np.array([5.0, bad, -7.0], np.float32))
    assert state(h) == before


def test_a_double_beyond_float32_is_refused() -> None:
    with pytest.raises(ValueError, match="beyond float32"):
        histogram().update(np.array([1e39]))


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.bool_, np.complex64, np.str_])
def test_only_floats_are_counted(kind: type) -> None:
    with pytest.raises(ValueError, match="only floats"):
        histogram().update(np.zeros(3, kind))


def test_an_empty_array_changes_nothing() -> None:
    h = histogram(np.zeros((0, 3)))
    assert (h.total, h.low, h.high) == (0, 0.0, 0.0)


@pytest.mark.parametrize("kind", ["float16", "float64", "bfloat16", "float8_e4m3fn"])
def test_other_float_types_count_like_float32(kind: str) -> None:
    import ml_dtypes

    dtype = getattr(ml_dtypes, kind, None) or getattr(np, kind)
    values = np.linspace(-3, 5, 100).astype(dtype)
    assert state(histogram(values.astype(np.float32))) == state(_of(values))


def _of(values: np.ndarray) -> Histogram:
    h = Histogram()
    h.update(values)
    return h


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, 3.4e38, -3.4e38, 1e-45, -1e-45, 0.1])
def test_a_constant_fills_one_bin_that_holds_it(value: float) -> None:
    h = histogram([value] * 5, [value])
    value = float(np.float32(value))
    assert h.counts.tolist() == [6]
    assert h.first * h.bins.width <= value < (h.first + 1) * h.bins.width
    assert h.zeros == (6 if value == 0 else 0)


def test_denormals_are_counted() -> None:
    h = histogram([1e-45, 5e-44, -1e-45, 0.0])
    assert (h.total, h.zeros, h.counts.tolist()) == (4, 1, [1, 3])


def test_tiny_negative_values_stay_below_zero_when_bins_are_wide() -> None:
    h = histogram([-1e-45, 3e38])
    assert (h.first, h.counts[0], h.counts[1]) == (-1, 1, 0)


def test_the_bins_are_those_of_numpy() -> None:
    values = np.random.default_rng(1).normal(size=100_000).astype(np.float32)
    h = histogram(*np.split(values, 10))
    edges = (h.first + np.arange(len(h.counts) + 1)) * h.bins.width
    # The last bin of numpy's holds its end, too; here no value is at the end.
    assert np.array_equal(h.counts, np.histogram(values.astype(np.float64), edges)[0])
    assert BINS // 2 < len(h.counts) <= BINS


def test_the_memory_layout_does_not_matter() -> None:
    values = np.random.default_rng(2).normal(size=(70, 90, 110)).astype(np.float32)
    assert state(histogram(values[::2, 1:, ::-3])) == state(
        histogram(np.ascontiguousarray(values[::2, 1:, ::-3]))
    )
    assert state(histogram(values.T)) == state(histogram(values))


@settings(max_examples=300, deadline=None)
@given(PARTS, st.randoms(use_true_random=False))
@example([[-1e-45], [3.4e38], [-3.4e38]], None)
@example([[1.0], [1.0 + 2**-23], [4096.0]], None)
def test_neither_order_nor_merging_matters(parts: list[list[float]], shuffle: object) -> None:
    whole = histogram([x for part in parts for x in part])
    order = list(range(len(parts)))
    if shuffle is not None:
        shuffle.shuffle(order)  # type: ignore[attr-defined]
    assert state(histogram(*(parts[i][::-1] for i in order))) == state(whole)
    merged = Histogram()
    for i in order:
        merged.merge(histogram(parts[i]))
    assert state(merged) == state(whole)
    tree = histogram(*parts[::2])
    tree.merge(histogram(*parts[1::2]))
    assert state(tree) == state(whole)


@settings(max_examples=300, deadline=None)
@given(st.lists(FLOATS, min_size=1, max_size=30))
def test_each_value_is_in_its_bin(values: list[float]) -> None:
    h = histogram(values)
    places = [math.floor(math.ldexp(float(np.float32(x)), -h.exponent)) - h.first for x in values]
    assert h.counts.tolist() == np.bincount(places, minlength=len(h.counts)).tolist()
    assert len(h.counts) <= BINS
    assert h.counts[0] > 0
    assert h.counts[-1] > 0
    assert h.exponent == exponent_of(h.low, h.high)


@settings(max_examples=200, deadline=None)
@given(st.lists(FLOATS, max_size=30))
def test_files_are_exact(values: list[float]) -> None:
    h = histogram(values)
    back = Histogram.from_json(json.loads(json.dumps(h.to_json())))
    assert state(back) == state(h)


@settings(max_examples=200, deadline=None)
@given(st.lists(FLOATS, min_size=1, max_size=30))
def test_folding_counts_absolute_values(values: list[float]) -> None:
    h = histogram(values)
    folded = h.bins.folded()
    assert folded.counts.sum() == h.total
    assert folded.high == max(abs(float(np.float32(x))) for x in values)
    # Values at the upper edge of their bin's reflection are taken for the bin below it.
    places = [
        math.floor(x) if x >= 0 else math.ceil(-x) - 1
        for x in (math.ldexp(float(np.float32(v)), -h.exponent) for v in values)
    ]
    exact = np.bincount(places, minlength=len(folded.counts))
    offset = np.cumsum(folded.counts[::1]) - np.cumsum(exact[folded.first :][: len(folded.counts)])
    on_edges = sum(math.ldexp(float(np.float32(v)), -h.exponent) % 1 == 0 > v for v in values)
    assert np.abs(offset).max() <= on_edges


@pytest.mark.parametrize(
    "change",
    [
        {"exponent": 3},
        {"first": 0},
        {"zeros": -1},
        {"zeros": 10**9},
        {"low": math.nan},
        {"high": 1e300},
        {"low": 0.1},
        {"counts": {"sparse": [5000, 1]}},
        {"counts": {"sparse": [0, 1, 1, -1]}},
        {"counts": {"bytes": 1, "deflated": "eJwDAAAAAAE="}},
        {"counts": {"bytes": 3, "deflated": ""}},
        {"counts": {"bytes": 1, "deflated": "!"}},
    ],
)
def test_damaged_files_are_refused(change: dict[str, object]) -> None:
    data = histogram(np.random.default_rng(3).normal(size=1000)).to_json() | change
    with pytest.raises(ValueError, match=r"."):
        Histogram.from_json(data)


def test_files_are_small() -> None:
    rng = np.random.default_rng(4)
    for values in (rng.normal(size=1_000_000), rng.laplace(size=50_000), [1.0, 1000.0]):
        assert len(json.dumps(histogram(values).to_json())) < 8000


def test_float32_is_not_copied() -> None:
    values = np.zeros(3, np.float32)
    assert as_float32(values) is values
