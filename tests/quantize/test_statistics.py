"""Statistics of a model: refusals, files, and that sites can be merged to the last bit."""

from __future__ import annotations

import json
import os
import tracemalloc
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from onnxopt.errors import ModelError, UsageError
from onnxopt.quantization.observers import TensorStatistics
from onnxopt.quantization.statistics import Statistics, load, load_merged
from onnxopt.quantization.wants import Wants

WANTS = {
    "range": Wants(),
    "histogram": Wants(histogram=True),
    "channels": Wants(channels=-1),
    "all": Wants(histogram=True, channels=1),
}


def samples(count: int, seed: int = 0) -> list[dict[str, np.ndarray]]:
    """Samples of varying lengths and magnitudes."""
    rng = np.random.default_rng(seed)
    return [
        {
            name: (rng.normal(size=(1, 8, int(rng.integers(0, 9)), 5)) * 10.0 ** rng.integers(-6, 6))
            .astype(np.float32)
            for name in WANTS
        }
        for _ in range(count)
    ]  # fmt: skip


def gathered(data: list[dict[str, np.ndarray]], model: str = "m") -> Statistics:
    statistics = Statistics(model, WANTS)
    for sample in data:
        for name, array in sample.items():
            statistics.update(name, array)
        statistics.samples += 1
    return statistics


def test_nothing_is_added_of_a_sample_that_is_refused() -> None:
    s = TensorStatistics(Wants(histogram=True, channels=1))
    s.update(np.ones((2, 3), np.float32))
    before = s.to_json()
    for bad in (np.full((2, 3), np.nan), np.ones((2, 4)), np.ones(3), np.ones((2, 3), np.int32)):
        with pytest.raises(ValueError, match=r"^has "):
            s.update(bad)
        assert s.to_json() == before


def test_the_tensor_is_named() -> None:
    with pytest.raises(ValueError, match=r"^tensor 'range' has a NaN$"):
        gathered([{"range": np.array([1.0, np.nan])}])


def test_another_model_is_refused() -> None:
    with pytest.raises(UsageError, match=r"statistics of another model .*gather them again"):
        gathered([]).check_model("other")
    with pytest.raises(UsageError, match="statistics of another model"):
        gathered(samples(1)).merge(gathered(samples(1), "other"))


def test_other_wants_are_refused_and_nothing_is_merged() -> None:
    mine = gathered(samples(2))
    before = {n: t.to_json() for n, t in mine.tensors.items()}
    theirs = gathered(samples(2))
    theirs.tensors["channels"] = TensorStatistics(Wants(histogram=True))
    with pytest.raises(UsageError, match="tensor 'channels' has statistics of range, channels"):
        mine.merge(theirs)
    del theirs.tensors["channels"]
    with pytest.raises(UsageError, match="only some are of tensor 'channels'"):
        mine.merge(theirs)
    assert {n: t.to_json() for n, t in mine.tensors.items()} == before


def test_other_channels_are_refused() -> None:
    mine, theirs = (
        Statistics("m", {"x": Wants(channels=0)}),
        Statistics("m", {"x": Wants(channels=0)}),
    )
    mine.update("x", np.ones(3))
    theirs.update("x", np.ones(4))
    with pytest.raises(UsageError, match="'x' has 3 channels here, and 4 there"):
        mine.merge(theirs)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": "x"}', "\x00\xff"])
def test_what_is_no_file_of_statistics_is_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / "s.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"s\.json is no file of statistics"):
        load(path)


def test_files_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot read .*none.json"):
        load(tmp_path / "none.json")
    with pytest.raises(ModelError, match=r"cannot write .*/no/s.json"):
        gathered([]).save(tmp_path / "no" / "s.json")
    with pytest.raises(UsageError, match="no file"):
        load_merged([])


def test_damaged_and_foreign_versions_are_said(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    gathered(samples(3)).save(path)
    data = json.loads(path.read_text())
    path.write_text(json.dumps(data | {"version": 99}))
    with pytest.raises(UsageError, match="version 99"):
        load(path)
    del data["tensors"]["all"]["high_sum"]
    path.write_text(json.dumps(data))
    with pytest.raises(ModelError, match=r"damaged .*tensor 'all' lacks 'high_sum'"):
        load(path)
    path.write_text(json.dumps(data | {"tensors": {"x": 5}}))
    with pytest.raises(ModelError, match="damaged"):
        load(path)


def test_the_file_at_fault_is_named(tmp_path: Path) -> None:
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    gathered(samples(1)).save(a)
    gathered(samples(1), "other").save(b)
    with pytest.raises(UsageError, match=r"b\.json: .*another model"):
        load_merged([a, b])


def test_zero_size_tensors_are_ignored() -> None:
    s = TensorStatistics(Wants(histogram=True, channels=1))
    s.update(np.zeros((1, 0, 4), np.float32))
    s.update(np.full((1, 3, 4), 2.0, np.float32))
    s.update(np.zeros((0, 3, 4), np.float32))
    assert (s.low, s.high, s.count, s.samples, s.mean_range) == (2.0, 2.0, 12, 1, (2.0, 2.0))


def test_ranges_and_their_means_are_exact() -> None:
    data = [sample["range"] for sample in samples(40) if sample["range"].size]
    s = TensorStatistics()
    for array in data:
        s.update(array)
    assert (s.low, s.high) == (min(a.min() for a in data), max(a.max() for a in data))
    for mean, ends in zip(
        s.mean_range, ([a.min() for a in data], [a.max() for a in data]), strict=True
    ):
        assert mean == float(sum(Fraction(float(x)) for x in ends) / len(data))
    assert (s.count, s.samples) == (sum(a.size for a in data), len(data))


def test_sites_merge_to_the_file_of_one_run(tmp_path: Path) -> None:
    data = samples(30)
    paths = []
    for i, part in enumerate((data[20:], data[:7], [], data[7:20][::-1])):
        paths.append(tmp_path / f"{i}.json")
        gathered(part).save(paths[-1])
    load_merged(paths).save(tmp_path / "merged.json")
    gathered(data).save(tmp_path / "whole.json")
    assert (tmp_path / "merged.json").read_bytes() == (tmp_path / "whole.json").read_bytes()
    assert load(tmp_path / "merged.json").samples == 30
    assert sorted(os.listdir(tmp_path)) == sorted(
        [*(p.name for p in paths), "merged.json", "whole.json"]
    )


def test_gathering_goes_on_from_a_file(tmp_path: Path) -> None:
    data = samples(10)
    gathered(data[:6]).save(tmp_path / "s.json")
    resumed = load(tmp_path / "s.json")
    for sample in data[6:]:
        for name, array in sample.items():
            resumed.update(name, array)
        resumed.samples += 1
    resumed.save(tmp_path / "s.json")
    gathered(data).save(tmp_path / "whole.json")
    assert (tmp_path / "s.json").read_bytes() == (tmp_path / "whole.json").read_bytes()


def test_memory_does_not_grow_with_samples() -> None:
    def peak(count: int) -> int:
        rng = np.random.default_rng(5)
        arrays = [rng.normal(size=(1, 16, 40, 40)).astype(np.float32) for _ in range(4)]
        tracemalloc.start()
        s = TensorStatistics(Wants(histogram=True, channels=1))
        for i in range(count):
            s.update(arrays[i % 4])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak(2)  # what is loaded once
    assert peak(256) <= 1.1 * peak(8)


def test_wants_add_up() -> None:
    assert Wants(histogram=True) | Wants(channels=1) == Wants(True, 1)
    assert Wants() | Wants() == Wants()
    with pytest.raises(ValueError, match="axes 1 and 2"):
        Wants(channels=1) | Wants(channels=2)
