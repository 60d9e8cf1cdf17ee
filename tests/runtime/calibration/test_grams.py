"""Gram matrices of a model's values over samples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from onnxopt.errors import ModelError, UsageError
from onnxopt.io import load
from onnxopt.runtime.calibration.grams import Summed, sum_grams
from onnxopt.runtime.calibration.sums import Gram, Sums
from onnxopt.runtime.readers.options import ReaderOptions

Writer = Callable[..., Path]

TEXT = """<ir_version: 8, opset_import: ["": 17]>
g (float[N, 3] x) => (float[N, 3] y) <float[3] w = {1, -2, 3}>
{ a = Mul(x, w)
  b = Relu(a)
  s = ReduceSum<keepdims=0>(b)
  y = Neg(b) }"""
W = np.array([1, -2, 3], np.float32)


def _read(found: Summed) -> dict[str, np.ndarray]:
    return {name: np.load(path) for name, path in found.files.items()}


def test_an_unknown_value(tmp_path: Path, write: Writer) -> None:
    np.savez(tmp_path / "x.npz", x=np.ones((2, 3), np.float32))
    with pytest.raises(UsageError, match="no value 'nope'"):
        sum_grams(write(TEXT), f"{tmp_path}/x.npz", ["nope"], tmp_path)


def test_no_samples(tmp_path: Path, write: Writer) -> None:
    with pytest.raises(UsageError, match=r"none\.npz"):
        sum_grams(write(TEXT), f"{tmp_path}/none.npz", ["a"], tmp_path)


def test_a_model_that_does_not_run_on_a_sample(tmp_path: Path, write: Writer) -> None:
    path = write("""<ir_version: 8, opset_import: ["": 17]>
        g (float[N, K] x) => (float[N, 3] y) <float[3] w = {1, -2, 3}> { y = Mul(x, w) }""")
    np.savez(tmp_path / "x.npz", x=np.ones((2, 2), np.float32))
    with pytest.raises(ModelError, match=r"sample 0: the model does not run on it: "):
        sum_grams(path, f"{tmp_path}/x.npz", ["y"], tmp_path)


def test_a_value_without_rows_has_none(tmp_path: Path, write: Writer) -> None:
    np.savez(tmp_path / "x.npz", x=np.ones((2, 3), np.float32))
    found = sum_grams(write(TEXT), f"{tmp_path}/x.npz", ["a", "s"], tmp_path)
    assert set(found.files) == {"a"}
    assert "has the shape []" in found.refused["s"]


@pytest.mark.parametrize("in_memory", [False, True])
@pytest.mark.parametrize("group_bytes", [512 << 20, 1])
def test_every_row_of_every_sample_counts(
    tmp_path: Path, write: Writer, rng: np.random.Generator, in_memory: bool, group_bytes: int
) -> None:
    x = rng.standard_normal((30, 3)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    path = write(TEXT)
    model = load(path) if in_memory else path
    names = ["x", "a", "b"]
    found = sum_grams(model, f"{tmp_path}/x.npz", names, tmp_path, group_bytes=group_bytes)
    wide = {"x": x, "a": x * W, "b": np.maximum(x * W, 0)}
    assert found.finished
    grams = _read(found)
    assert set(grams) == set(names)
    for name, gram in grams.items():
        assert gram.dtype == np.float64
        rows = wide[name].astype(np.float64)
        np.testing.assert_allclose(gram, rows.T @ rows, rtol=1e-5)


def test_a_limit_of_samples(tmp_path: Path, write: Writer, rng: np.random.Generator) -> None:
    x = rng.standard_normal((9, 3)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    options = ReaderOptions(limit=4)
    found = sum_grams(write(TEXT), f"{tmp_path}/x.npz", ["x"], tmp_path, options=options)
    np.testing.assert_allclose(_read(found)["x"], x[:4].T @ x[:4], rtol=1e-5)


def test_rows_are_added_up_in_parts(rng: np.random.Generator) -> None:
    rows = rng.standard_normal((2500, 5)).astype(np.float32)
    gram = Gram(5)
    for start in range(0, 2500, 7):
        gram.add(rows[start : start + 7])
    gram.add(rows.astype(np.float16))
    assert gram.count == 5000
    half = rows.astype(np.float16).astype(np.float64)
    np.testing.assert_allclose(gram.total(), rows.T @ rows + half.T @ half, rtol=1e-4, atol=1e-2)


def test_what_changes_its_depth_is_refused() -> None:
    sums = Sums()
    sums.observe(0, "sample 0", {"a": np.ones((2, 3), np.float32)})
    sums.observe(1, "sample 1", {"a": np.ones((0, 3), np.float32)})
    sums.observe(2, "sample 2", {"a": np.ones((2, 4), np.float32)})
    assert sums.refused == {"a": "sample 2: has the shape [2, 4]"}
