"""Figures, against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from onnxopt.runtime.quality.figures import Figures, worst
from onnxopt.runtime.quality.tally import Tally


def tallied(*pairs: tuple[object, object]) -> Figures:
    tally = Tally()
    for reference, other in pairs:
        tally.add(np.asarray(reference, np.float32), np.asarray(other, np.float32))
    return tally.figures()


def test_a_nan_is_an_infinite_error() -> None:
    found = tallied(([[1.0, 2.0]], [[1.0, math.nan]]))
    assert found.snr_db == -math.inf
    assert found.max_abs == math.inf
    assert found.cosine == 0.0
    assert found.top1 == 0.0


def test_infinities_of_the_reference_are_left_out() -> None:
    found = tallied(([[-math.inf, 2.0, 1.0]], [[-math.inf, 2.0, 1.0]]))
    assert (found.snr_db, found.cosine, found.max_abs) == (math.inf, 1.0, 0.0)


def test_another_shape_counts_as_zeros() -> None:
    found = tallied(([[3.0, 4.0]], [[3.0]]), ([[3.0, 4.0]], [[3.0, 4.0]]))
    assert found.snr_db == pytest.approx(10 * math.log10(2))
    assert (found.cosine, found.least_cosine, found.top1) == (0.5, 0.0, 0.5)


def test_scalars_are_compared() -> None:
    found = tallied((3.0, 3.0), (4.0, 4.5))
    assert found.snr_db == pytest.approx(20.0)
    assert (found.max_abs, found.top1) == (0.5, None)


def test_noise_and_signal_are_summed_over_samples() -> None:
    found = tallied(([[10.0, 0.0]], [[10.0, 1.0]]), ([[0.0, 10.0]], [[1.0, 10.0]]))
    assert found.snr_db == pytest.approx(20.0)
    assert found.max_abs == 1.0
    assert found.top1 == 1.0
    assert found.cosine == pytest.approx(10 / math.sqrt(101))


def test_cosines_are_of_batch_items() -> None:
    found = tallied(([[1.0, 0.0], [0.0, 2.0]], [[5.0, 0.0], [2.0, 0.0]]))
    assert (found.cosine, found.least_cosine, found.top1) == (0.5, 0.0, 0.5)


def test_single_numbers_have_one_cosine_together() -> None:
    found = tallied(([[3.0]], [[4.0]]), ([[4.0]], [[3.0]]))
    assert found.cosine == pytest.approx(24 / 25)
    assert found.top1 is None


def test_huge_and_tiny_numbers_have_a_direction() -> None:
    assert tallied(([[1e30, 1e30]], [[1e30, 0.0]])).cosine == pytest.approx(math.sqrt(0.5))
    assert tallied(([[1e-30, 1e-30]], [[1e-30, 0.0]])).cosine == pytest.approx(math.sqrt(0.5))


def test_nothing_is_like_nothing() -> None:
    found = tallied((np.zeros((0, 4)), np.zeros((0, 4))), (np.zeros((1, 4)), np.zeros((1, 4))))
    assert (found.snr_db, found.cosine, found.max_abs) == (math.inf, 1.0, 0.0)


def test_the_worst_is_taken_figure_by_figure() -> None:
    assert worst([]) is None
    found = worst([Figures(9.0, 0.9, 0.8, None, 0.5), Figures(20.0, 0.7, 0.6, 0.4, 0.1)])
    assert found == Figures(9.0, 0.7, 0.6, 0.4, 0.5)
