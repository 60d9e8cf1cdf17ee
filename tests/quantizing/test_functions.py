"""Models with functions of their own: these are inlined, and what was in them is quantised."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest

import onnxopt
from onnxopt.errors import UsageError

from .support import Array, weights

LAYERS = """<ir_version: 9, opset_import: ["" : 21, "local" : 1]>
g (float[N,64] x) => (float[N,64] y) {
    a = local.block(x, u, b)
    y = local.block(a, v, b)
}
<opset_import: ["" : 21], domain: "local">
block (x, w, b) => (y) { p = MatMul(x, w) s = Add(p, b) y = Tanh(s) }
"""
MARKED = LAYERS.replace(
    "p = MatMul(x, w)",
    "k = Constant<value = float {0.1}>() z = Constant<value = uint8 {128}>()"
    " i = QuantizeLinear(x, k, z) j = DequantizeLinear(i, k, z) p = MatMul(j, w)",
)


def write(path: Path, text: str = LAYERS) -> Path:
    model = onnx.parser.parse_model(text)
    for name, array in {"u": weights(64, 64), "v": weights(64, 64, seed=2)}.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights(64, seed=3), "b"))
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def samples(path: Path) -> Array:
    x = np.random.default_rng(7).normal(size=(32, 64)).astype(np.float32)
    np.savez(path, x=x[:, None])
    return x


def snr(source: Path, out: Path, x: Array) -> float:
    """How far the result is from the original on onnxruntime, in dB."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    one, other = (
        onnxruntime.InferenceSession(str(path), options).run(None, {"x": x})[0]
        for path in (source, out)
    )
    return float(10 * np.log10(np.square(one).sum() / np.square(other - one).sum()))


@pytest.mark.parametrize("mode", ["static", "dynamic", "weight-only"])
def test_layers_in_functions_are_quantised(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnxopt.quantizing.run._TIMING", 0.0)
    source, out = write(tmp_path / "in.onnx"), tmp_path / "out.onnx"
    x = samples(tmp_path / "x.npz")
    result = onnxopt.quantize(
        source, out, mode=mode, calibrate=str(tmp_path / "x.npz"), validate=False, budget=1.0
    )
    assert result.quantisation is not None
    assert result.quantisation.chosen.layers == 2
    assert "functions of the model were inlined: local.block" in result.quantisation.notes
    made = onnx.load(out)
    assert not made.functions
    held = {t.name: t.data_type for t in made.graph.initializer if t.dims == [64, 64]}
    assert onnx.TensorProto.FLOAT not in held.values()
    assert snr(source, out, x) > 25


def test_weights_in_functions_alone_are_found_without_samples(tmp_path: Path) -> None:
    source, out = write(tmp_path / "in.onnx"), tmp_path / "out.onnx"
    result = onnxopt.quantize(source, out, mode="weight-only", validate=False)
    assert result.quantisation is not None
    assert result.quantisation.chosen.layers == 2
    assert snr(source, out, samples(tmp_path / "x.npz")) > 25


def test_integers_in_a_function_are_seen(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is quantised already"):
        onnxopt.quantize(write(tmp_path / "in.onnx", MARKED), mode="weight-only", validate=False)
