"""Archives, sample by sample."""

from __future__ import annotations

import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from onnxopt.errors import UsageError
from onnxopt.runtime.facts import InputSpec
from onnxopt.runtime.readers.opening import open_reader
from onnxopt.runtime.readers.options import ReaderOptions
from onnxopt.runtime.readers.reader import Sample

Spec = Callable[..., InputSpec]


def _read(path: Path, *specs: InputSpec, limit: int | None = None) -> list[Sample]:
    return list(open_reader(str(path), specs, options=ReaderOptions(limit)))


def _refused(path: Path, *specs: InputSpec, limit: int | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        _read(path, *specs, limit=limit)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_does_not_exist(tmp_path: Path, spec: Spec) -> None:
    message = _refused(tmp_path / "none.npz", spec("x", 1, 3))
    assert "none.npz: does not exist" in message
    assert "images:FOLDER" in message


def test_other_files(tmp_path: Path, spec: Spec) -> None:
    (tmp_path / "a.txt").write_text("x")
    assert "not a .npz" in _refused(tmp_path / "a.txt", spec("x", 1, 3))
    (tmp_path / "a.npz").write_bytes(b"no archive")
    assert "a.npz: not a .npz archive" in _refused(tmp_path / "a.npz", spec("x", 1, 3))


def test_no_samples(tmp_path: Path, spec: Spec) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=np.zeros((0, 3), np.float32))
    assert "holds no samples" in _refused(path, spec("x", "N", 3))
    np.savez(path, x=np.zeros((2, 3), np.float32))
    assert "0 samples" in _refused(path, spec("x", "N", 3), limit=0)


def test_a_wrong_name_type_or_shape_is_told_with_sample_and_input(
    tmp_path: Path, spec: Spec
) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, z=np.zeros((2, 3), np.float32))
    assert "sample 0: the model has no input 'z' (it has x)" in _refused(path, spec("x", 1, 3))
    np.savez(path, x=np.zeros((2, 3)))
    message = _refused(path, spec("x", 1, 3))
    assert "sample 0: input 'x': is float64, the model expects float32" in message
    np.savez(path, x=np.zeros((2, 4), np.float32))
    assert "has shape [1, 4], the model expects [1, 3]" in _refused(path, spec("x", 1, 3))
    np.savez(path, x=np.zeros((2, 1, 3), np.float32), y=np.zeros((3, 1, 3), np.float32))
    message = _refused(path, spec("x", 1, 3), spec("y", 1, 3))
    assert "different numbers of samples (x: 2, y: 3)" in message


@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "Inf"), (-np.inf, "Inf")])
def test_values_that_are_not_finite(tmp_path: Path, spec: Spec, value: float, word: str) -> None:
    x = np.zeros((4, 3), np.float32)
    x[2, 1] = value
    np.savez(tmp_path / "a.npz", x=x)
    message = _refused(tmp_path / "a.npz", spec("x", "N", 3))
    assert f"a.npz, sample 2: input 'x' holds {word}" in message


def test_masks_may_be_infinite(tmp_path: Path, spec: Spec) -> None:
    mask = spec("m", "N", 3)
    mask.facts.role = "additive-mask"
    np.savez(tmp_path / "a.npz", m=np.full((2, 3), -np.inf, np.float32))
    assert len(_read(tmp_path / "a.npz", mask)) == 2
    np.savez(tmp_path / "a.npz", m=np.full((2, 3), np.nan, np.float32))
    assert "holds NaN" in _refused(tmp_path / "a.npz", mask)


def test_python_objects_and_files_cut_off(tmp_path: Path, spec: Spec) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=np.array([{}, {}], object))
    assert "array 'x' cannot be read: it holds Python objects" in _refused(path, spec("x", 1, 3))
    whole = tmp_path / "x.npy"
    np.save(whole, np.zeros((4, 3), np.float32))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", whole.read_bytes()[:-7])
    assert "array 'x' cannot be read: it ends before" in _refused(path, spec("x", 1, 3))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"nonsense")
    assert "array 'x' cannot be read" in _refused(path, spec("x", 1, 3))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("first", [1, "N"])
def test_the_first_axis_counts_samples(
    tmp_path: Path,
    spec: Spec,
    rng: np.random.Generator,
    save: Callable[..., None],
    first: int | str,
) -> None:
    x = rng.standard_normal((5, 3, 2)).astype(np.float32)
    y = rng.integers(0, 9, (5, 4))
    save(tmp_path / "a.npz", x=x, y=y)
    samples = _read(tmp_path / "a.npz", spec("x", first, 3, 2), spec("y", first, 4, dtype="int64"))
    assert [sample.begins for sample in samples] == [True, False, False, False, False]
    for number, sample in enumerate(samples):
        np.testing.assert_array_equal(sample.feed["x"], x[number : number + 1])
        np.testing.assert_array_equal(sample.feed["y"], y[number : number + 1])
    assert (
        len(
            _read(
                tmp_path / "a.npz",
                spec("x", first, 3, 2),
                spec("y", first, 4, dtype="int64"),
                limit=2,
            )
        )
        == 2
    )


def test_one_more_axis_holds_whole_samples(
    tmp_path: Path, spec: Spec, rng: np.random.Generator
) -> None:
    x = rng.standard_normal((5, 2, 3)).astype(np.float32)
    np.savez(tmp_path / "a.npz", x=x, i=np.arange(5))
    samples = _read(tmp_path / "a.npz", spec("x", "N", 3), spec("i", dtype="int64"))
    assert len(samples) == 5
    np.testing.assert_array_equal(samples[3].feed["x"], x[3])
    assert samples[3].feed["i"].shape == ()
    assert int(samples[3].feed["i"]) == 3


def test_a_fixed_first_axis_and_what_goes_to_each_sample(
    tmp_path: Path, spec: Spec, rng: np.random.Generator
) -> None:
    x = rng.standard_normal((6, 3)).astype(np.float32)
    state = rng.standard_normal((2, 1, 4)).astype(np.float32)
    np.savez(tmp_path / "a.npz", x=x, state=state, sr=np.int64(16000))
    samples = _read(
        tmp_path / "a.npz",
        spec("x", 2, 3),
        spec("state", 2, "N", 4),
        spec("sr", dtype="int64"),
    )
    assert len(samples) == 3
    for number, sample in enumerate(samples):
        np.testing.assert_array_equal(sample.feed["x"], x[2 * number : 2 * number + 2])
        np.testing.assert_array_equal(sample.feed["state"], state)
        assert int(sample.feed["sr"]) == 16000


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_fortran_order(
    tmp_path: Path, spec: Spec, rng: np.random.Generator, save: Callable[..., None]
) -> None:
    x = np.asfortranarray(rng.standard_normal((4, 3, 2)).astype(np.float32))
    save(tmp_path / "a.npz", x=x)
    samples = _read(tmp_path / "a.npz", spec("x", "N", 3, 2))
    for number, sample in enumerate(samples):
        np.testing.assert_array_equal(sample.feed["x"], x[number : number + 1])
        assert sample.feed["x"].flags.c_contiguous


def test_strings(tmp_path: Path, spec: Spec) -> None:
    np.savez(tmp_path / "a.npz", x=np.array([["a", "bc"], ["d", ""]]))
    samples = _read(tmp_path / "a.npz", spec("x", "N", 2, dtype="str"))
    assert [sample.feed["x"].tolist() for sample in samples] == [[["a", "bc"]], [["d", ""]]]


def test_a_reader_can_be_read_again(tmp_path: Path, spec: Spec) -> None:
    np.savez(tmp_path / "a.npz", x=np.eye(3, dtype=np.float32))
    reader = open_reader(str(tmp_path / "a.npz"), [spec("x", 1, 3)])
    for _ in range(2):
        assert [int(sample.feed["x"].argmax()) for sample in reader] == [0, 1, 2]


def test_fed_back_inputs_may_be_missing(tmp_path: Path, spec: Spec) -> None:
    np.savez(tmp_path / "a.npz", x=np.eye(3, dtype=np.float32))
    specs = [spec("x", 1, 3), spec("h", 1, 2)]
    assert "input 'h' is missing" in _refused(tmp_path / "a.npz", *specs)
    reader = open_reader(str(tmp_path / "a.npz"), specs, options=ReaderOptions(fed_back=("h",)))
    assert [list(sample.feed) for sample in reader] == [["x"]] * 3
    np.savez(tmp_path / "a.npz", x=np.eye(3, dtype=np.float32), h=np.zeros((1, 5), np.float32))
    with pytest.raises(UsageError, match="input 'h': has shape"):
        list(reader)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_memory_is_that_of_a_few_samples(
    tmp_path: Path, spec: Spec, save: Callable[..., None]
) -> None:
    x = np.broadcast_to(np.arange(25_000, dtype=np.float32), (512, 25_000))
    save(tmp_path / "a.npz", x=x)  # 51 MB; a sample is 100 kB
    reader = open_reader(str(tmp_path / "a.npz"), [spec("x", 1, 25_000)])
    tracemalloc.start()
    count = sum(1 for sample in reader if float(sample.feed["x"][0, -1]) == 24_999.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 512
    assert peak < 4_000_000
