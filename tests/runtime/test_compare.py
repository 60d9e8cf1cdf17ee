"""What counts as the same, and what the figures say."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from onnxopt.runtime.compare import OutputDiff, compare_outputs
from onnxopt.runtime.metrics import Tolerance, local_peak, measure
from onnxopt.runtime.noise import NoiseFloor, Pool, perturb


def _one(reference: Any, candidate: Any, **options: Any) -> OutputDiff:
    (diff,) = compare_outputs({"y": reference}, {"y": candidate}, **options)
    return diff


@pytest.fixture
def values(rng: np.random.Generator) -> np.ndarray:
    return (rng.standard_normal((8, 64)) * 10).astype(np.float32)


def test_figures_by_hand() -> None:
    figures = measure(np.array([3.0, -4.0]), np.array([3.0, -4.5]), Tolerance(atol=0.1))
    assert figures.max_abs == pytest.approx(0.5)
    assert figures.max_rel == pytest.approx(0.125)
    assert figures.rms == pytest.approx(math.sqrt(0.125))
    assert figures.snr_db == pytest.approx(20.0)
    assert figures.cosine == pytest.approx(27 / (5 * math.hypot(3, 4.5)))
    assert (figures.scale, figures.outside, figures.special) == (4.0, 1, 0)


def test_equal_arrays_have_infinite_snr(values: np.ndarray) -> None:
    figures = _one(values, values.copy()).figures
    assert figures.snr_db == math.inf
    assert figures.cosine == pytest.approx(1.0)


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1.0, 1e30])
def test_rounding_passes_and_a_hundredth_fails_at_every_scale(
    values: np.ndarray, scale: float, rng: np.random.Generator
) -> None:
    reference = (values * np.float32(scale)).astype(np.float32)
    rounding = 1 + 1e-6 * rng.standard_normal(values.shape)
    assert scale < 1e-8 or _one(reference, (reference * rounding).astype(np.float32)).ok
    off = (reference.astype(np.float64) * 1.01).astype(np.float32)
    assert scale < 1e-8 or not _one(reference, off).ok


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16])
def test_one_rounding_passes_in_every_float_type(values: np.ndarray, dtype: Any) -> None:
    reference = values.astype(dtype)
    ulp = float(np.spacing(np.ones((), dtype)))
    nudged = (reference.astype(np.float64) * (1 + ulp)).astype(dtype)
    assert (nudged != reference).any()
    assert _one(reference, nudged).ok
    wrong = (reference.astype(np.float64) * 1.1).astype(dtype)
    assert not _one(reference, wrong).ok


def test_small_quantities_beside_large_ones_are_not_drowned(rng: np.random.Generator) -> None:
    boxes = rng.standard_normal((100, 4)) * 640
    scores = rng.random((100, 2))
    reference = np.concatenate([boxes, scores], axis=1).astype(np.float32)
    wrong = reference.copy()
    wrong[:, 4:] *= 1.005
    assert not _one(reference, wrong).ok


def test_local_peak_ignores_tiny_slices() -> None:
    assert local_peak(np.arange(10.0)).tolist() == [9.0]
    mixed = np.ones((40, 2))
    mixed[:, 1] = 1000
    assert np.broadcast_to(local_peak(mixed), mixed.shape)[0].tolist() == [1, 1000]


def test_exact_is_tighter(values: np.ndarray) -> None:
    near = (values * np.float32(1 + 5e-5)).astype(np.float32)
    assert _one(values, near).ok
    assert not _one(values, near, exact=True).ok


def test_user_tolerance_alone_decides(values: np.ndarray) -> None:
    off = (values * np.float32(1.005)).astype(np.float32)
    assert _one(values, off, rtol=0.01).ok
    assert not _one(values, off, rtol=0.001).ok
    assert _one(values, off, atol=1.0).ok
    assert not _one(values, values * np.float32(1 + 1e-6), rtol=1e-9).ok


def test_internal_precision_sets_the_tolerance(values: np.ndarray) -> None:
    through_half = values.astype(np.float16).astype(np.float32)
    assert not _one(values, through_half).ok
    assert _one(values, through_half, precision="float16").ok


@pytest.mark.parametrize(
    ("reference", "candidate", "special"),
    [
        ([1, np.nan, -2], [1, np.nan, -2], 0),
        ([1, np.inf, -np.inf], [1, np.inf, -np.inf], 0),
        ([1, np.nan], [1, 2], 1),
        ([1, 2], [1, np.nan], 1),
        ([np.inf], [-np.inf], 1),
        ([np.inf], [np.nan], 1),
        ([np.inf, 3e38], [3e38, np.inf], 2),
    ],
)
def test_nan_and_infinity_positions(
    reference: list[float], candidate: list[float], special: int
) -> None:
    diff = _one(np.array(reference, np.float32), np.array(candidate, np.float32))
    assert diff.figures.special == special
    assert diff.ok == (special == 0)


@pytest.mark.parametrize(
    ("reference", "candidate", "part"),
    [
        (np.zeros((2, 3)), np.zeros((3, 2)), "shape [3, 2] instead of [2, 3]"),
        (np.zeros(2, np.float32), np.zeros(2), "dtype float64 instead of float32"),
        (np.zeros(2, np.int32), np.zeros(2, np.int64), "dtype"),
        ([np.zeros(2)], [np.zeros(2), np.zeros(2)], "2 elements instead of 1"),
        (np.zeros(2), None, "nothing instead of tensor"),
        ({"a": 1.0}, {"b": 1.0}, "other keys"),
    ],
)
def test_structure_must_agree(reference: Any, candidate: Any, part: str) -> None:
    diff = _one(reference, candidate)
    assert not diff.ok
    assert part in diff.problem


def test_missing_output() -> None:
    (diff,) = compare_outputs({"y": np.zeros(1)}, {})
    assert not diff.ok


@pytest.mark.parametrize(
    ("reference", "candidate"),
    [
        (np.array([1, -2, 3]), np.array([1, -2, 4])),
        (np.array([2**60]), np.array([2**60 + 1])),
        (np.array([2**64 - 1], np.uint64), np.array([2**64 - 2], np.uint64)),
        (np.array([True, False]), np.array([True, True])),
        (np.array(["a", "b"], object), np.array(["a", "c"], object)),
        (np.array([1, 7], np.uint8), np.array([1, 8], np.uint8)),
        (np.array([1, -8], ml_dtypes.int4), np.array([1, 7], ml_dtypes.int4)),
    ],
)
def test_exact_types_must_be_equal(reference: np.ndarray, candidate: np.ndarray) -> None:
    assert _one(reference, reference.copy()).ok
    diff = _one(reference, candidate)
    assert not diff.ok
    assert diff.figures.outside == 1


def test_containers_leaf_by_leaf() -> None:
    reference = {"s": [np.zeros(2), [np.ones(1)]], "m": [{"k": 1.0, "l": -2.0}], "o": None, "e": []}
    same = compare_outputs(reference, reference)
    assert [d.name for d in same] == ["s[0]", "s[1][0]", "m[0][0]", "m[0][1]", "o", "e"]
    assert all(d.ok for d in same)
    other = {**reference, "s": [np.zeros(2), [np.full(1, 1.5)]]}
    assert [d.name for d in compare_outputs(reference, other) if not d.ok] == ["s[1][0]"]


@pytest.mark.parametrize("array", [np.zeros((0, 4), np.float32), np.float32(-3), np.array(5)])
def test_empty_and_scalar(array: np.ndarray) -> None:
    assert _one(array, array).ok


def test_complex() -> None:
    values = np.array([1 + 2j, -3 - 4j], np.complex64)
    assert _one(values, values).ok
    assert not _one(values, values.conj()).ok


# The noise floor


def _floor(reference: np.ndarray, *disturbed: np.ndarray) -> NoiseFloor:
    floor = NoiseFloor(reference)
    for one in disturbed:
        floor.add(one)
    return floor


def _excused(reference: np.ndarray, candidate: np.ndarray, *noise: np.ndarray) -> bool:
    diff = _one(reference, candidate)
    assert not diff.ok
    return _floor(reference, *noise).excuses(diff, candidate, exact=False)


def test_chaos_is_excused_and_more_than_chaos_is_not(
    values: np.ndarray, rng: np.random.Generator
) -> None:
    def shaken(amount: float) -> np.ndarray:
        noise = amount * rng.standard_normal(values.shape)
        return (values * (1 + noise)).astype(np.float32)

    assert _excused(values, shaken(0.01), shaken(0.01), shaken(0.01))
    assert not _excused(values, shaken(0.1), shaken(0.01), shaken(0.01))


def test_noise_in_one_channel_excuses_no_other(rng: np.random.Generator) -> None:
    reference = rng.standard_normal((100, 3)).astype(np.float32)
    noisy, wrong = reference.copy(), reference.copy()
    noisy[:, 0] += 0.5 * rng.standard_normal(100)
    wrong[:, 2] *= 1.02
    assert not _excused(reference, wrong, noisy)


def test_argmax_ties_are_excused_in_number_not_amount(rng: np.random.Generator) -> None:
    reference = rng.integers(0, 1000, 5000)
    flipped, few, many = reference.copy(), reference.copy(), reference.copy()
    flipped[:3] += 1
    few[10:15] = 999 - few[10:15]
    many[:500] += 1
    assert _excused(reference, few, flipped)
    assert not _excused(reference, many, flipped)
    assert not _excused(reference, few, reference.copy())


def test_the_rate_of_flips_is_pooled_over_samples() -> None:
    pool, one, other = Pool(), np.array([5]), np.array([7])
    first, second = NoiseFloor(one, pool), NoiseFloor(other, pool)
    first.add(one)
    second.add(other)
    diff = _one(one, np.array([9]))
    assert not first.excuses(diff, np.array([9]), exact=False)
    second.add(np.array([8]))
    assert first.excuses(diff, np.array([9]), exact=False)


def test_quantised_codes_must_not_drift(rng: np.random.Generator) -> None:
    reference = rng.integers(3, 250, 1000).astype(np.uint8)
    noisy = reference + rng.integers(0, 2, 1000).astype(np.uint8)
    ok = reference - rng.integers(0, 2, 1000).astype(np.uint8)
    assert _excused(reference, ok, noisy)
    assert not _excused(reference, rng.integers(0, 250, 1000).astype(np.uint8), noisy)


def test_shape_is_excused_only_where_the_original_wavers() -> None:
    reference, longer = np.zeros(4, np.float32), np.zeros(5, np.float32)
    assert _excused(reference, longer, np.zeros(3, np.float32))
    assert not _excused(reference, longer, reference.copy())
    assert not _excused(reference, np.zeros(4), np.zeros(3, np.float32))


def test_new_nan_is_not_excused(values: np.ndarray) -> None:
    with_nan, noisy = values.copy(), values * np.float32(1.5)
    with_nan[0, 0] = np.nan
    assert not _excused(values, with_nan, noisy)
    assert not _excused(values, with_nan)


def test_perturbation_is_tiny_and_touches_floats_only(values: np.ndarray) -> None:
    ids = np.array([1, -2])
    feed: dict[str, Any] = {
        "x": values,
        "s": [values],
        "ids": ids,
        "h": values.astype(np.float16),
        "o": None,
    }
    changed = perturb(feed, 1)
    assert changed is not None
    assert changed["ids"] is ids
    assert changed["o"] is None
    for name, limit in (("x", 1e-6), ("h", 2e-3)):
        assert changed[name].dtype == feed[name].dtype
        ratio = changed[name].astype(np.float64) / feed[name].astype(np.float64)
        assert 0 < np.abs(ratio - 1).max() < limit
    assert (changed["s"][0] != values).any()
    assert perturb({"ids": ids}, 1) is None
