"""Folders of samples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import numpy_helper

from onnxopt.errors import UsageError
from onnxopt.runtime.facts import InputSpec
from onnxopt.runtime.readers.opening import open_reader

Spec = Callable[..., InputSpec]


def test_an_empty_folder_names_the_other_way(tmp_path: Path, spec: Spec) -> None:
    with pytest.raises(UsageError, match=r"holds no samples: .* write images:"):
        list(open_reader(str(tmp_path), [spec("x", 1, 3)]))


def test_a_bad_file_is_named(tmp_path: Path, spec: Spec) -> None:
    (tmp_path / "input_0.pb").write_bytes(b"\xff\xff\xff")
    with pytest.raises(UsageError, match=r"input_0\.pb: not a tensor for input 'x'"):
        list(open_reader(str(tmp_path), [spec("x", 1, 3)]))


def test_archives_in_order(tmp_path: Path, spec: Spec) -> None:
    np.savez(tmp_path / "b.npz", x=np.full((1, 3), 3, np.float32))
    np.savez(tmp_path / "a.npz", x=np.stack([np.full(3, 1), np.full(3, 2)]).astype(np.float32))
    samples = list(open_reader(str(tmp_path), [spec("x", 1, 3)]))
    assert [float(sample.feed["x"][0, 0]) for sample in samples] == [1, 2, 3]
    assert [sample.begins for sample in samples] == [True, False, False]
    assert samples[1].where.endswith("a.npz, sample 1")


def test_arrays(tmp_path: Path, spec: Spec, rng: np.random.Generator) -> None:
    x, y = (rng.standard_normal((4, n)).astype(np.float32) for n in (3, 2))
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", np.asfortranarray(y))
    samples = list(open_reader(str(tmp_path), [spec("x", 1, 3), spec("y", "N", 2)]))
    assert len(samples) == 4
    np.testing.assert_array_equal(samples[2].feed["x"], x[2:3])
    np.testing.assert_array_equal(samples[2].feed["y"], y[2:3])


def test_test_sets_hold_a_sample_each(tmp_path: Path, spec: Spec, rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 2, 3)).astype(np.float32)
    for number in (10, 2, 1):
        place = tmp_path / f"test_data_set_{number}"
        place.mkdir()
        tensor = numpy_helper.from_array(x[number % 3], "x")
        (place / "input_0.pb").write_bytes(tensor.SerializeToString())
    samples = list(open_reader(str(tmp_path), [spec("x", "N", 3)]))
    assert [s.where.rsplit("_", 1)[1] for s in samples] == ["1", "2", "10"]
    np.testing.assert_array_equal(samples[1].feed["x"], x[2])
