"""Ranges: refusals, what always holds, and the error of real samples quantised with them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxopt.errors import UsageError
from onnxopt.quantization import ranges
from onnxopt.quantization.affine import from_range
from onnxopt.quantization.bins import Bins
from onnxopt.quantization.methods import Method, needs, parse_method
from onnxopt.quantization.mse import expected_error, mse_range
from onnxopt.quantization.observers import TensorStatistics
from onnxopt.quantization.percentile import percentile
from onnxopt.quantization.ranges import choose_range
from onnxopt.quantization.types import QType, qtype
from onnxopt.quantization.wants import Wants

METHODS = (
    "minmax",
    "moving-average",
    "percentile:99.9",
    "percentile:99.99",
    "entropy",
    "mse",
    "hmse",
)
KINDS = (
    ("u8", False),
    ("s8", True),
    ("s8", False),
    ("u8", True),
    ("u4", False),
    ("s4", True),
    ("u16", False),
)
_RNG = np.random.default_rng(0)
_NORMAL = _RNG.normal(size=100_000)
DATA = {
    name: values.astype(np.float32)
    for name, values in {
        "laplace": _RNG.laplace(size=100_000),
        "gaussian": _NORMAL,
        "uniform": _RNG.uniform(-1, 2, 100_000),
        "relu": np.maximum(_NORMAL, 0),
        "relu6": np.clip(3 * _NORMAL, 0, 6),
        "silu": 3 * _NORMAL / (1 + np.exp(-3 * _NORMAL)),
        "outliers": np.where(np.arange(100_000) % 10_000 == 7, 40 * _NORMAL, _NORMAL),
        "student": _RNG.standard_t(3, 100_000),
        "skewed": np.exp(_NORMAL) - 0.5,
        "negative": -1 - np.abs(_NORMAL),
        "shifted": _NORMAL + 5,
    }.items()
}  # fmt: skip


def seen(values: np.ndarray, parts: int = 8) -> TensorStatistics:
    statistics = TensorStatistics(Wants(histogram=True))
    for part in np.array_split(np.asarray(values, np.float32), parts):
        statistics.update(part)
    return statistics


def error(values: np.ndarray, chosen: tuple[float, float], kind: str, symmetric: bool) -> float:
    affine = from_range(*chosen, qtype(kind), symmetric=symmetric)
    wide = values.astype(np.float64)
    return float(np.mean((wide - affine.restored(affine.quantised(wide))) ** 2))


@pytest.mark.parametrize("text", ["", "max", "MSE", "mse:3", "entropy:", "percentil:99"])
def test_unknown_methods_are_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(
        UsageError, match="minmax, moving-average, percentile:P, entropy, mse, hmse"
    ):
        parse_method(text)


@pytest.mark.parametrize("number", ["50", "0", "-1", "100.1", "x", "", "nan"])
def test_percentages_have_limits(number: str) -> None:
    with pytest.raises(UsageError, match="above 50 and at most 100"):
        parse_method(f"percentile:{number}")


def test_methods_are_read() -> None:
    assert parse_method("percentile:99.9") == Method("percentile", 99.9)
    assert str(parse_method("percentile")) == "percentile:99.99"
    assert [needs(m).histogram for m in METHODS] == [False, False, True, True, True, True, True]


def test_what_was_not_seen_is_said() -> None:
    with pytest.raises(ValueError, match="no value"):
        choose_range(TensorStatistics(), "minmax", qtype("u8"), False)
    ranged = TensorStatistics()
    ranged.update(np.ones(3))
    for method in ("percentile", "entropy", "mse"):
        with pytest.raises(ValueError, match=f"no histogram, which the method {method}"):
            choose_range(ranged, method, qtype("u8"), False)


def test_a_choice_is_kept_until_more_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[str] = []

    def counted(bins: Bins, kind: QType, symmetric: bool) -> tuple[float, float]:
        searched.append(kind.name)
        return mse_range(bins, kind, symmetric)

    monkeypatch.setattr(ranges, "mse_range", counted)
    statistics = seen(DATA["laplace"])
    first = choose_range(statistics, "mse", qtype("u8"), False)
    assert choose_range(statistics, Method("mse"), qtype("u8"), False) == first
    assert searched == ["u8"]
    assert choose_range(statistics, "mse", qtype("s4"), False) != first
    statistics.update(np.array([50.0], np.float32))
    assert choose_range(statistics, "mse", qtype("u8"), False)[1] > first[1]
    statistics.merge(seen(np.array([-99.0])))
    assert choose_range(statistics, "minmax", qtype("u8"), False)[0] == -99.0
    assert searched == ["u8", "s4", "u8"]


@pytest.mark.parametrize(("kind", "symmetric"), KINDS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "values",
    [
        [0.0], [-0.0, 0.0], [3.0], [-3.0], [1e-45], [-1e-45, 1e-45], [3.4e38, -3.4e38], [1.0, 1.0 + 2**-23],
        [0.0] * 9999 + [5.0], [0.0] * 30000 + [-5.0, 5.0], [-1e-3] * 5000 + [7.0], [1e30, 1e-30, -1e-30],
        [100.0, 100.00001, 100.00002] * 50, [-65504.0] + [0.5] * 999,
    ],
)  # fmt: skip
def test_odd_values_give_a_range(
    values: list[float], method: str, kind: str, symmetric: bool
) -> None:
    statistics = seen(np.array(values), 1)
    low, high = choose_range(statistics, method, qtype(kind), symmetric)
    zero_only = not np.any(np.array(values, np.float32))
    assert low <= 0 <= high
    assert (low < high) != zero_only
    assert max(-low, high) <= max(-statistics.low, statistics.high)
    if symmetric:
        assert low == -high
    else:
        assert min(statistics.low, 0) <= low
        assert high <= max(statistics.high, 0)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.one_of(st.floats(-9, 9, width=32), st.floats(width=32, allow_nan=False, allow_infinity=False)), min_size=1, max_size=40),
    st.sampled_from(METHODS), st.sampled_from(KINDS),
)  # fmt: skip
def test_any_values_give_a_range(values: list[float], method: str, form: tuple[str, bool]) -> None:
    low, high = choose_range(seen(np.array(values), 1), method, qtype(form[0]), form[1])
    assert low <= 0 <= high
    assert (low < high) == bool(np.any(np.array(values, np.float32)))


@pytest.mark.parametrize(("kind", "symmetric"), KINDS)
@pytest.mark.parametrize("name", DATA)
def test_mse_has_the_least_error(name: str, kind: str, symmetric: bool) -> None:
    values, statistics = DATA[name], seen(DATA[name])
    errors = {
        method: error(values, choose_range(statistics, method, qtype(kind), symmetric), kind, symmetric)
        for method in METHODS
    }  # fmt: skip
    assert errors["mse"] <= 1.02 * min(errors.values()), errors
    assert errors["hmse"] == errors["mse"]


@pytest.mark.parametrize(("kind", "symmetric"), KINDS)
@pytest.mark.parametrize("name", DATA)
def test_the_expected_error_is_the_real_one(name: str, kind: str, symmetric: bool) -> None:
    statistics = seen(DATA[name])
    for chosen in ((statistics.low, statistics.high), (-1.0, 2.0)):
        affine = from_range(*chosen, qtype(kind), symmetric=symmetric)
        assert statistics.histogram is not None
        expected = expected_error(statistics.histogram.bins, affine)
        assert expected == pytest.approx(error(DATA[name], chosen, kind, symmetric), rel=0.03)


def test_mse_beats_a_search_over_all_thresholds() -> None:
    values = DATA["student"]
    statistics = seen(values)
    chosen = error(values, choose_range(statistics, "mse", qtype("s4"), True), "s4", True)
    top = statistics.high
    every = [error(values, (-t, t), "s4", True) for t in np.linspace(top / 200, top, 200)]
    assert chosen <= 1.005 * min(every)


def test_low_and_high_are_searched_together() -> None:
    # Clipping the long tail below pays; with the top alone moved, nothing would be gained.
    rng = np.random.default_rng(7)
    values = np.concatenate([rng.uniform(0, 1, 50_000), [-30.0]]).astype(np.float32)
    low, high = choose_range(seen(values), "mse", qtype("u4"), False)
    assert high == pytest.approx(1.0, abs=0.1)
    assert low > -1


@pytest.mark.parametrize("name", ["outliers", "student", "laplace", "skewed"])
@pytest.mark.parametrize(("kind", "symmetric"), [("u8", False), ("s8", True)])
def test_entropy_clips_outliers_and_is_not_minmax(name: str, kind: str, symmetric: bool) -> None:
    statistics = seen(DATA[name])
    low, high = choose_range(statistics, "entropy", qtype(kind), symmetric)
    whole = choose_range(statistics, "minmax", qtype(kind), symmetric)
    assert high - low < 0.85 * (whole[1] - whole[0])
    clipped = np.mean((DATA[name] < low) | (DATA[name] > high))
    assert 0 < clipped < 0.01


def test_entropy_keeps_what_has_no_tail() -> None:
    statistics = seen(DATA["uniform"])
    assert choose_range(statistics, "entropy", qtype("u8"), False) == pytest.approx(
        (-1, 2), abs=0.01
    )


def test_entropy_does_not_clip_most_values() -> None:
    low, high = choose_range(seen(DATA["negative"]), "entropy", qtype("u8"), False)
    assert low < -4
    assert high == 0.0


def test_a_spike_of_zeros_does_not_sway_entropy() -> None:
    half = np.abs(_NORMAL).astype(np.float32)
    spiked = np.concatenate([half, np.zeros(900_000, np.float32)])
    assert choose_range(seen(spiked), "entropy", qtype("u8"), False) == choose_range(
        seen(half), "entropy", qtype("u8"), False
    )


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("percent", [99.99, 99.9, 75.0, 50.5, 100.0])
def test_percentiles_are_within_a_bin_of_numpy(name: str, percent: float) -> None:
    values, statistics = DATA[name].astype(np.float64), seen(DATA[name])
    assert statistics.histogram is not None
    bins = statistics.histogram.bins
    for p in (percent, 100 - percent):
        assert percentile(bins, p) == pytest.approx(np.percentile(values, p), abs=bins.width)
    low, high = choose_range(statistics, f"percentile:{percent}", qtype("u8"), False)
    wanted = np.percentile(values, [100 - percent, percent])
    assert low == pytest.approx(min(wanted[0], 0) if values.min() < 0 else 0, abs=bins.width)
    assert high == pytest.approx(max(wanted[1], 0) if values.max() > 0 else 0, abs=bins.width)
    high = choose_range(statistics, f"percentile:{percent}", qtype("s8"), True)[1]
    assert high == pytest.approx(np.percentile(np.abs(values), percent), abs=2 * bins.width)


def test_percentiles_between_values_far_apart() -> None:
    values = np.array([0.0, 1.0, 10.0, 1000.0])
    statistics = seen(values, 1)
    assert statistics.histogram is not None
    for p in (50.1, 70.0, 90.0, 99.99):
        assert percentile(statistics.histogram.bins, p) == pytest.approx(
            np.percentile(values, p), abs=statistics.histogram.bins.width
        )


def test_the_moving_average_is_the_mean_of_ranges() -> None:
    statistics = TensorStatistics()
    for low, high in ((-1.0, 2.0), (-3.0, 4.0), (-2.0, 9.0)):
        statistics.update(np.array([low, high], np.float32))
    assert choose_range(statistics, "moving-average", qtype("u8"), False) == (-2.0, 5.0)
    assert choose_range(statistics, "moving-average", qtype("s8"), True) == (-5.0, 5.0)


def test_a_percentile_among_zeros_is_exactly_zero_and_overruled() -> None:
    statistics = seen(np.array([0.0] * 30_000 + [5.0]), 1)
    assert statistics.histogram is not None
    assert percentile(statistics.histogram.bins, 99.99) == 0.0
    assert choose_range(statistics, "percentile:99.99", qtype("u8"), False) == (0.0, 5.0)
