"""Models for the command line's tests: good ones, and every kind of bad one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
from onnx import TensorProto, helper, numpy_helper

GOOD = """<ir_version: 8, opset_import: ["" : 17]>
agraph (float[N,4] x) => (float[N,4] y) {
  one = Constant <value = float {1.0}> ()
  first = Mul (x, one)
  second = Relu (first)
  third = Relu (second)
  fourth = Tanh (third)
  y = Identity (fourth)
}"""


def write_good(path: Path, text: str = GOOD) -> Path:
    """Writes a model in which there is something to optimise."""
    path.write_bytes(onnx.parser.parse_model(text).SerializeToString())
    return path


def signed(*dims: int) -> np.ndarray:
    """Normal values of both signs."""
    return np.random.default_rng(7).normal(size=dims).astype(np.float32)


def model_with_weight(weight: TensorProto) -> bytes:
    """Adds a weight to the input."""
    nodes = [helper.make_node("Add", ["x", "w"], ["y"], "add")]
    return _model(nodes, [weight])


def _model(nodes: list[onnx.NodeProto], weights: list[TensorProto]) -> bytes:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 4]) for name in "xy")
    graph = helper.make_graph(nodes, "agraph", [x], [y], weights)
    opset = helper.make_opsetid("", 17)
    data: bytes = helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString()
    return data


def _external(location: str, offset: int = 0, length: int = 32) -> bytes:
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2, 4])
    weight.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        entry = weight.external_data.add()
        entry.key, entry.value = key, str(value)
    return model_with_weight(weight)


def _empty(path: Path) -> None:
    path.touch()


def _text(path: Path) -> None:
    path.write_text("this is a letter, not a model\n" * 50)


def _noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(3).bytes(4096))


def _truncated(path: Path) -> None:
    data = model_with_weight(numpy_helper.from_array(signed(2, 4), "w"))
    path.write_bytes(data[: len(data) // 2])


def _directory(path: Path) -> None:
    path.mkdir()


def _absent(path: Path) -> None:
    path.with_name("other.txt").touch()


def _absolute(path: Path) -> None:
    path.write_bytes(_external("/etc/hostname"))


def _outside(path: Path) -> None:
    (path.parent.parent / "secret.bin").write_bytes(bytes(32))
    path.write_bytes(_external("../secret.bin"))


def _link_outside(path: Path) -> None:
    secret = path.parent.parent / "secret.bin"
    secret.write_bytes(bytes(32))
    os.symlink(secret, path.with_name("link.bin"))
    path.write_bytes(_external("link.bin"))


def _no_weights(path: Path) -> None:
    path.write_bytes(_external("weights.bin"))


def _short_weights(path: Path) -> None:
    path.with_name("weights.bin").write_bytes(bytes(16))
    path.write_bytes(_external("weights.bin"))


def _negative_offset(path: Path) -> None:
    path.with_name("weights.bin").write_bytes(bytes(64))
    path.write_bytes(_external("weights.bin", offset=-8))


def _absurd_dims(path: Path) -> None:
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2**40, 2**40])
    weight.raw_data = bytes(16)
    path.write_bytes(model_with_weight(weight))


def _negative_dims(path: Path) -> None:
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[-2, -4])
    weight.raw_data = bytes(32)
    path.write_bytes(model_with_weight(weight))


def _cyclic(path: Path) -> None:
    nodes = [
        helper.make_node("Add", ["x", "b"], ["a"], "chicken"),
        helper.make_node("Relu", ["a"], ["b"], "egg"),
        helper.make_node("Relu", ["b"], ["y"], "end"),
    ]
    path.write_bytes(_model(nodes, []))


def _dangling(path: Path) -> None:
    path.write_bytes(_model([helper.make_node("Add", ["x", "nobody"], ["y"], "add")], []))


# What makes the bad model, and a word its error must hold besides the file's name.
BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "empty": (_empty, "empty"),
    "text": (_text, "not a readable ONNX model"),
    "noise": (_noise, "not a readable ONNX model"),
    "truncated": (_truncated, "truncated"),
    "directory": (_directory, "directory"),
    "absent": (_absent, "no such file"),
    "absolute-path": (_absolute, "absolute path"),
    "outside": (_outside, "outside the model's folder"),
    "link-outside": (_link_outside, "link that leaves"),
    "no-weights": (_no_weights, "weights.bin"),
    "short-weights": (_short_weights, "weights.bin"),
    "negative-offset": (_negative_offset, "offset"),
    "absurd-dims": (_absurd_dims, "1099511627776"),
    "negative-dims": (_negative_dims, "w"),
    "cyclic": (_cyclic, "cycle"),
    "dangling": (_dangling, "nobody"),
}
