"""Counting samples and saving."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onnxopt.errors import UsageError
from onnxopt.quantization import statistics
from onnxopt.quantization.statistics import Statistics
from onnxopt.quantization.wants import Wants
from onnxopt.runtime.calibration.ledger import Counts, Ledger, counts_path, read_counts


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    gathered = Statistics("f", {"a": Wants(), "b": Wants()})
    return Ledger(gathered, tmp_path / "s.json", "x.npz", Counts({"a": 1}), 2)


def _array(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_counts_of_other_samples_or_statistics_are_refused(tmp_path: Path, ledger: Ledger) -> None:
    path = tmp_path / "s.json"
    ledger.observe(0, "first", {"b": _array(1, 2)})
    ledger.save()
    gathered = statistics.load(path)
    with pytest.raises(UsageError, match=r"unfinished run over x\.npz, not y\.npz: delete"):
        read_counts(path, gathered, "y.npz")
    gathered.update("a", _array(1))
    with pytest.raises(UsageError, match="was changed since"):
        read_counts(path, gathered, "x.npz")
    counts_path(path).write_text("[]")
    with pytest.raises(UsageError, match="cannot be read: delete"):
        read_counts(path, gathered, "x.npz")


def test_a_sample_is_counted_once(tmp_path: Path, ledger: Ledger) -> None:
    """``a`` has had the first sample before."""
    ledger.observe(0, "first", {"a": _array(100), "b": _array(1)})
    ledger.observe(1, "second", {"a": _array(-2, 3), "b": _array(5)})
    ledger.observe(2, "third", {"a": _array(4)})
    ledger.save()
    gathered = statistics.load(tmp_path / "s.json")
    assert (gathered.tensors["a"].low, gathered.tensors["a"].high) == (-2, 4)
    assert (gathered.tensors["b"].low, gathered.tensors["b"].high) == (1, 5)
    assert gathered.samples == 2
    assert read_counts(tmp_path / "s.json", gathered, "x.npz").done == {"a": 3, "b": 2}


def test_a_value_that_is_not_finite_is_refused(tmp_path: Path, ledger: Ledger) -> None:
    """With what was seen of it before: a range of some samples would be taken for that of all."""
    ledger.observe(0, "first", {"b": _array(1)})
    ledger.observe(1, "second", {"b": _array(-np.inf, 3)})
    ledger.observe(2, "third", {"b": _array(9)})
    assert list(ledger.refused) == ["b"]
    assert ledger.refused["b"].startswith("second: ")
    ledger.save()
    gathered = statistics.load(tmp_path / "s.json")
    assert gathered.tensors["b"].count == 0
    assert read_counts(tmp_path / "s.json", gathered, "x.npz").refused == ledger.refused


def test_empty_values_count_as_seen(ledger: Ledger) -> None:
    ledger.observe(0, "first", {"b": np.zeros((0, 3), np.float32)})
    assert ledger.refused == {}
    assert ledger.done["b"] == 1
