"""Reading and checking the user's own samples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxopt.errors import UsageError
from onnxopt.runtime.feedio import load_feed, save_feed
from onnxopt.runtime.inputs import load

Loader = Callable[..., ir.Model]
TEXT = """<ir_version: 8, opset_import: ["": 17]>
g (float[N, 3] x, int64[N] i) => (float[N, 3] y) { y = Neg(x) }"""


@pytest.fixture
def model(parse: Loader) -> ir.Model:
    return parse(TEXT)


@pytest.fixture
def x(rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((4, 3)).astype(np.float32) * 10


I4 = np.array([3, -1, 0, 2], np.int64)


def test_npz(tmp_path: Path, model: ir.Model, x: np.ndarray) -> None:
    np.savez(tmp_path / "a.npz", x=x, i=I4)
    (feed,) = load([tmp_path / "a.npz"], model)
    np.testing.assert_array_equal(feed["x"], x)
    np.testing.assert_array_equal(feed["i"], I4)


def test_npz_with_a_leading_sample_axis(tmp_path: Path, model: ir.Model, x: np.ndarray) -> None:
    np.savez(tmp_path / "a.npz", x=np.stack([x, -x, 2 * x]), i=I4)
    feeds = load([tmp_path / "a.npz"], model)
    assert len(feeds) == 3
    np.testing.assert_array_equal(feeds[1]["x"], -x)
    np.testing.assert_array_equal(feeds[2]["i"], I4)


def test_scalar_inputs_may_be_stacked(tmp_path: Path, parse: Loader) -> None:
    model = parse(TEXT.replace("int64[N] i", "int64 i"))
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 4, 3), np.float32), i=np.array([7, 8]))
    feeds = load([tmp_path / "a.npz"], model)
    assert [int(feed["i"]) for feed in feeds] == [7, 8]
    assert feeds[0]["i"].shape == ()


def test_folder_of_npz(tmp_path: Path, model: ir.Model, x: np.ndarray) -> None:
    for k in range(3):
        np.savez(tmp_path / f"{k}.npz", x=x + k, i=I4)
    feeds = load([tmp_path], model)
    assert [float(f["x"][0, 0] - x[0, 0]) for f in feeds] == pytest.approx([0, 1, 2], abs=1e-5)


@pytest.mark.parametrize("names", [("x", "i"), ("input_0", "input_1"), ("0", "1")])
def test_folder_of_npy(
    tmp_path: Path, model: ir.Model, x: np.ndarray, names: tuple[str, str]
) -> None:
    np.save(tmp_path / f"{names[0]}.npy", x)
    np.save(tmp_path / f"{names[1]}.npy", I4)
    (feed,) = load([tmp_path], model)
    np.testing.assert_array_equal(feed["x"], x)


def test_onnx_test_sets_in_numeric_order(tmp_path: Path, model: ir.Model, x: np.ndarray) -> None:
    for k in (0, 2, 10):
        folder = tmp_path / f"test_data_set_{k}"
        folder.mkdir()
        # The names in the files, where they are inputs of the model, outrank the order.
        first, second = ((x + k, "x"), (I4, "i"))
        for index, (array, name) in enumerate([second, first] if k == 2 else [first, second]):
            tensor = numpy_helper.from_array(array, name if k == 2 else "")
            (folder / f"input_{index}.pb").write_bytes(tensor.SerializeToString())
        (folder / "output_0.pb").write_bytes(b"")
    feeds = load([tmp_path], model)
    assert [round(float(f["x"][0, 0] - x[0, 0])) for f in feeds] == [0, 2, 10]


def test_sequence_and_optional_protobufs(tmp_path: Path, parse: Loader) -> None:
    tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, [2])
    sequence = helper.make_sequence_type_proto(tensor)
    infos = [
        helper.make_value_info("s", sequence),
        helper.make_value_info("o", helper.make_optional_type_proto(tensor)),
    ]
    out = helper.make_tensor_value_info("n", TensorProto.INT64, [])
    node = helper.make_node("SequenceLength", ["s"], ["n"])
    graph = helper.make_graph([node], "g", infos, [out])
    model = parse(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]))
    arrays = [np.array([1, -2], np.float32), np.array([-3, 4], np.float32)]
    protos: list[Any] = [
        numpy_helper.from_list(arrays, "s"),
        numpy_helper.from_optional(arrays[0], "o"),
    ]
    for index, proto in enumerate(protos):
        (tmp_path / f"input_{index}.pb").write_bytes(proto.SerializeToString())
    (feed,) = load([tmp_path], model)
    np.testing.assert_array_equal(feed["s"][1], arrays[1])
    np.testing.assert_array_equal(feed["o"], arrays[0])


def test_bfloat16_survives_npz(tmp_path: Path, parse: Loader) -> None:
    model = parse(TEXT.replace("float[N, 3]", "bfloat16[N, 3]"))
    values = np.array([[1, -2, 300]], ml_dtypes.bfloat16)
    np.savez(tmp_path / "a.npz", x=values, i=np.zeros(1, np.int64))
    (feed,) = load([tmp_path / "a.npz"], model)
    assert feed["x"].dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(feed["x"].astype(np.float32), values.astype(np.float32))


@pytest.mark.parametrize(
    ("arrays", "parts"),
    [
        ({"x": np.zeros((4, 3), np.float32)}, ["'i'", "missing"]),
        ({"x": np.zeros((4, 3), np.float32), "i": I4, "j": I4}, ["no input 'j'", "x, i"]),
        ({"x": np.zeros((4, 3)), "i": I4}, ["'x'", "float64", "expects float32"]),
        ({"x": np.zeros((4, 2), np.float32), "i": I4}, ["'x'", "[4, 2]", "[N, 3]"]),
        ({"x": np.zeros(3, np.float32), "i": I4}, ["'x'", "rank 2"]),
        ({"x": np.zeros((5, 3), np.float32), "i": I4}, ["'i'", "dim 'N'", "5"]),
        (
            {"x": np.zeros((2, 4, 3), np.float32), "i": np.zeros((3, 4), np.int64)},
            ["different numbers", "x: 2", "i: 3"],
        ),
    ],
)
def test_misfits_name_file_and_input(
    tmp_path: Path, model: ir.Model, arrays: dict[str, np.ndarray], parts: list[str]
) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    with pytest.raises(UsageError) as caught:
        load([path], model)
    message = str(caught.value)
    assert "bad.npz" in message
    assert "\n" not in message
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.npz", b"not a zip"),
        ("a.npz", b"PK\x03\x04 truncated"),
        ("a.npy", b""),
        ("a.txt", b"hello"),
        ("a.pb", b"\xff\xff\xff"),
        ("a.npy", b"\x80\x04K\x01."),
    ],
)
def test_unreadable_files(tmp_path: Path, parse: Loader, name: str, content: bytes) -> None:
    one_input = parse(TEXT.replace(", int64[N] i", ""))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError) as caught:
        load([tmp_path / name], one_input)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_and_empty_paths(tmp_path: Path, model: ir.Model) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        load([tmp_path / "nowhere.npz"], model)
    with pytest.raises(UsageError, match="holds no samples"):
        load([tmp_path], model)


def test_single_file_for_several_inputs(tmp_path: Path, model: ir.Model) -> None:
    np.save(tmp_path / "a.npy", I4)
    with pytest.raises(UsageError, match="2 inputs"):
        load([tmp_path / "a.npy"], model)


def test_overridable_initializers_may_be_given(tmp_path: Path, parse: Loader) -> None:
    text = TEXT.replace("int64[N] i", "float[3] w").replace("Neg(x)", "Mul(x, w)")
    model = parse(text, {"w": np.array([1, -2, 3], np.float32)})
    np.savez(tmp_path / "a.npz", x=np.ones((1, 3), np.float32), w=np.zeros(3, np.float32))
    (feed,) = load([tmp_path / "a.npz"], model)
    assert set(feed) == {"x", "w"}


def test_feeds_survive_the_disk(tmp_path: Path) -> None:
    feed: dict[str, Any] = {
        "a": np.array([[1.5, -2]], np.float32),
        "scalar": np.array(-7, np.int64),
        "b": np.array([1, -3], ml_dtypes.bfloat16),
        "q": np.array([1, -3], ml_dtypes.int4),
        "words": np.array([["a", "ü"], ["", "\n"]], dtype=object),
        "list": [np.zeros((0, 2)), np.ones(1, bool)],
        "nothing": None,
        "map": {3: 1.5, -4: 2.5},
        "/odd name\0": np.array([1], np.uint8),
    }
    save_feed(feed, tmp_path, 3)
    back = load_feed(tmp_path, 3)
    assert list(back) == list(feed)
    assert back["nothing"] is None
    assert back["map"] == feed["map"]
    for name in ("a", "scalar", "b", "q", "words", "/odd name\0"):
        assert back[name].dtype == feed[name].dtype
        assert back[name].shape == feed[name].shape
        assert back[name].tolist() == feed[name].tolist()
    assert [item.shape for item in back["list"]] == [(0, 2), (1,)]
