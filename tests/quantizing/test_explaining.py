"""What is said of layers and tensors, beside what is computed from both models directly."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import parser

from onnxopt import api
from onnxopt.quantizing import run
from onnxopt.quantizing.account import Account
from onnxopt.quantizing.explaining import option

rng = np.random.default_rng(21)
TEXT = """<ir_version: 8, opset_import: ["" : 17]>
g (float[n,3,8,8] x) => (float[n,5] y) {
    [first] a = Conv<pads=[1,1,1,1]>(x, w1, b1)
    r = Relu(a)
    [second] c = Conv<pads=[1,1,1,1]>(r, w2)
    t = Relu(c)
    p = GlobalAveragePool(t)
    f = Flatten(p)
    [last] y = Gemm(f, w3)
}"""
WEIGHTS = {
    "w1": rng.normal(size=(6, 3, 3, 3)),
    "b1": rng.normal(size=6),
    "w2": rng.normal(size=(4, 6, 3, 3)),
    "w3": rng.normal(size=(4, 5)),
}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model and samples; nothing is timed."""
    model = parser.parse_model(TEXT)
    for name, numbers in WEIGHTS.items():
        tensor = onnx.numpy_helper.from_array(numbers.astype(np.float32), name)
        model.graph.initializer.append(tensor)
    onnx.save(model, tmp_path / "model.onnx")
    np.savez(tmp_path / "data.npz", x=rng.normal(size=(6, 3, 8, 8)).astype(np.float32))
    monkeypatch.setattr(run._Job, "_time", lambda *_: None)
    return tmp_path


def account(files: Path, **options: Any) -> Account:
    result = api.quantize(
        files / "model.onnx",
        files / "out.onnx",
        calibrate=str(files / "data.npz"),
        target="ort-cpu",
        validate=False,
        **{"mode": "static", **options},
    )
    assert result.quantisation is not None
    return result.quantisation


def values(path: Path, names: dict[str, str], files: Path) -> dict[str, np.ndarray]:
    """Values inside a model over all samples, by the name that is asked for."""
    model = onnx.load(path)
    del model.graph.output[:]
    model.graph.output.extend(
        onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in names.values()
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    found = session.run(None, {"x": np.load(files / "data.npz")["x"]})
    return dict(zip(names, found, strict=True))


def decibels(reference: np.ndarray, other: np.ndarray) -> float:
    r, c = reference.astype(np.float64), other.astype(np.float64)
    return 10 * math.log10((r**2).sum() / ((c - r) ** 2).sum())


def test_a_name_that_cannot_be_an_option_gives_none() -> None:
    assert option('say "no"') is None
    assert option("a;b") is None
    assert option("") is None
    assert option("it's <b>") == """--exclude 'it'"'"'s <b>'"""


def test_layers_left_in_float_come_last_and_have_no_option(files: Path) -> None:
    found = account(files, exclude=["second"]).layers
    assert [layer["name"] for layer in found][-1] == "second"
    assert [layer["integer"] for layer in found] == [True, True, False]
    assert found[-1]["option"] is None
    assert found[-1]["macs"] == 4 * 6 * 9 * 64


def test_what_accumulates_is_what_both_models_give(files: Path) -> None:
    found = account(files, explain=True)
    reads = {}
    for node in onnx.load(files / "out.onnx").graph.node:
        if node.op_type == "QuantizeLinear":
            reads[node.input[0]] = node.output[0]
    backs = {
        name: node.output[0]
        for name, stored in reads.items()
        for node in onnx.load(files / "out.onnx").graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] == stored
    }
    names = {name: name for name in ("r", "t")}
    float_values = values(files / "model.onnx", names, files)
    integer_values = values(files / "out.onnx", {name: backs[name] for name in names}, files)
    tensors = {tensor["name"]: tensor for tensor in found.tensors}
    layers = {layer["result"]: layer for layer in found.layers}
    for name in names:
        expected = decibels(float_values[name], integer_values[name])
        assert tensors[name]["snr_accumulated_db"] == pytest.approx(expected, abs=0.05)
        assert layers[name]["snr_accumulated_db"] == tensors[name]["snr_accumulated_db"]
    ends = (values(files / m, {"y": "y"}, files)["y"] for m in ("model.onnx", "out.onnx"))
    assert layers["y"]["snr_accumulated_db"] == pytest.approx(decibels(*ends), abs=0.05)


def test_alone_is_the_rounding_of_the_float_value(files: Path) -> None:
    found = {tensor["name"]: tensor for tensor in account(files, explain=True).tensors}
    for name in ("r", "t"):
        tensor, value = found[name], values(files / "model.onnx", {name: name}, files)[name]
        steps = np.clip(np.rint(value / tensor["scale"]) + tensor["zero_point"], 0, 255)
        back = (steps - tensor["zero_point"]) * tensor["scale"]
        assert tensor["snr_db"] == pytest.approx(decibels(value, back), abs=0.3)
        assert tensor["seen_high"] == pytest.approx(float(value.max()), rel=1e-6)
        assert tensor["clipped"] == 0.0
        assert sum(tensor["histogram"]["counts"]) == int((value != 0).sum())


def test_weights_are_exact(files: Path) -> None:
    found = account(files, explain=True)
    weight = WEIGHTS["w1"].astype(np.float32)
    span = np.abs(weight).max(axis=(1, 2, 3), keepdims=True)
    bits = found.bits
    steps = span / (2 ** (bits - 1) - 1)
    layer = next(layer for layer in found.layers if layer["name"] == "first")
    expected = decibels(weight, np.rint(weight / steps) * steps)
    assert layer["weight_snr_db"] == pytest.approx(expected, abs=0.05)
    assert layer["bytes_saved"] == weight.size * 3 - 6 * 5  # a scale and a zero point a channel


def test_own_noise_is_the_sum_of_its_parts_and_the_order(files: Path) -> None:
    found = account(files).layers
    for layer in found:
        parts = [layer[key] for key in ("operand_snr_db", "weight_snr_db", "snr_db")]
        total = sum(10 ** (-part / 10) for part in parts if part is not None)
        assert layer["noise"] == pytest.approx(total)
        assert layer["measured"] is None
        assert layer["option"] == f"--exclude {layer['name']}"
    noises = [layer["noise"] for layer in found]
    assert noises == sorted(noises, reverse=True)
    assert sum(layer["macs_share"] for layer in found) == pytest.approx(1.0)


def test_without_histograms_alone_follows_from_the_steps(files: Path) -> None:
    plain = {tensor["name"]: tensor for tensor in account(files, method="minmax").tensors}
    told = {tensor["name"]: tensor for tensor in account(files, explain=True).tensors}
    assert plain["t"]["clipped"] is None
    assert plain["t"]["histogram"] is None
    # Rectified values are exact where they are 0, which steps alone do not tell.
    assert plain["x"]["snr_db"] == pytest.approx(told["x"]["snr_db"], abs=0.2)
    assert told["t"]["snr_db"] - 4 < plain["t"]["snr_db"] < told["t"]["snr_db"] + 0.2


def test_what_mending_measured_ranks_the_layers(files: Path) -> None:
    before = account(files, method="minmax").chosen.quality
    assert before is not None
    assert before.overall is not None
    least = before.overall.snr_db + 0.1
    found = account(files, max_drop=f"snr={least}", method="minmax")
    back = found.chosen.back
    assert back
    layers = {layer["name"]: layer for layer in found.layers}
    assert {name for name, layer in layers.items() if not layer["integer"]} == set(back)
    assert all(layer["measured"] is not None for layer in layers.values())


def test_a_report_has_what_each_layer_costs_measured(files: Path) -> None:
    found = account(files, explain=True)
    quality = found.chosen.quality
    assert quality is not None
    assert quality.overall is not None
    gains = [layer["measured"] for layer in found.layers]
    assert gains == sorted(gains, reverse=True)
    worst = found.layers[0]
    better = account(files, exclude=[worst["name"]]).chosen.quality
    assert better is not None
    assert better.overall is not None
    before, after = (10 ** (-q.snr_db / 10) for q in (quality.overall, better.overall))
    assert worst["measured"] == pytest.approx(before - after, rel=1e-3)


def test_equalised_models_are_compared_with_their_own_float_model(files: Path) -> None:
    found = account(files, equalize=True)
    assert min(layer["snr_accumulated_db"] for layer in found.layers) > 20


DENSE = """<ir_version: 8, opset_import: ["" : 17]>
g (float[n,64] x) => (float[n,5] y) {
    [first] a = MatMul(x, w1)
    r = Relu(a)
    [last] y = MatMul(r, w2)
}"""


@pytest.fixture
def dense(files: Path) -> Path:
    """The folder with another model, of products."""
    model = parser.parse_model(DENSE)
    for name, shape in {"w1": (64, 128), "w2": (128, 5)}.items():
        numbers = rng.normal(size=shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(numbers, name))
    onnx.save(model, files / "model.onnx")
    np.savez(files / "data.npz", x=rng.normal(size=(6, 64)).astype(np.float32))
    return files


def test_dynamic_models_have_layers_alone(dense: Path) -> None:
    found = account(dense, mode="dynamic", exclude=["last"])
    assert found.tensors == []
    assert [(layer["name"], layer["integer"]) for layer in found.layers] == [
        ("first", True),
        ("last", False),
    ]
    assert found.layers[0]["snr_accumulated_db"] > 30
