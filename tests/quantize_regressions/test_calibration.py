"""What goes wrong elsewhere while statistics are gathered: batches dropped, entropy that is min-max, narrow percentiles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxopt.io import load
from onnxopt.quantization.observers import TensorStatistics
from onnxopt.quantization.ranges import choose_range
from onnxopt.quantization.types import qtype
from onnxopt.quantization.wants import Wants
from onnxopt.runtime.calibration.observe import observe

from .support import perceptron

rng = np.random.default_rng(5)


@pytest.mark.parametrize("group_bytes", [1, 512 << 20])
def test_every_sample_counts(tmp_path: Path, group_bytes: int) -> None:
    """With groups of 8 samples elsewhere, of 30 only the last 6 count: here the extremes are in the first and the tenth."""

    proto = perceptron(17)
    onnx.save(proto, tmp_path / "model.onnx")
    [source] = proto.graph.input
    shape = [d.dim_value or 2 for d in source.type.tensor_type.shape.dim]
    data = rng.uniform(-1, 1, size=(30, *shape)).astype(np.float32)
    data[0].flat[0], data[9].flat[0] = -50.0, 70.0
    arrays = {source.name: data}
    np.savez(tmp_path / "data.npz", **arrays)  # type: ignore[arg-type]
    wants = {source.name: Wants(), proto.graph.node[0].output[0]: Wants(histogram=True)}
    model = load(tmp_path / "model.onnx")
    found = observe(model, str(tmp_path / "data.npz"), wants, group_bytes=group_bytes)
    assert found.statistics.samples == 30
    assert [tensor.samples for tensor in found.statistics.tensors.values()] == [30, 30]
    seen = found.statistics.tensors[source.name]
    assert (seen.low, seen.high) == (-50.0, 70.0)


def gathered(values: np.ndarray) -> TensorStatistics:
    statistics = TensorStatistics(Wants(histogram=True))
    statistics.update(values.astype(np.float32))
    return statistics


def test_entropy_clips_what_min_max_keeps() -> None:
    """128 bins for 128 levels leave the search one candidate: all that was seen."""
    values = rng.laplace(size=200_000)
    values[:3] = 60.0
    seen = gathered(values)
    whole = choose_range(seen, "minmax", qtype("u8"), False)
    chosen = choose_range(seen, "entropy", qtype("u8"), False)
    assert whole[1] == 60.0
    assert chosen[1] < 0.5 * whole[1]
    assert np.mean(values > chosen[1]) < 0.01


@pytest.mark.parametrize("spread", [0.0, 1e-12, 1e-30])
def test_percentiles_of_narrow_ranges_exist(spread: float) -> None:
    seen = gathered(3.0 + spread * rng.uniform(size=1000))
    low, high = choose_range(seen, "percentile:99.99", qtype("u8"), False)
    assert low == 0.0
    assert high == pytest.approx(3.0)
